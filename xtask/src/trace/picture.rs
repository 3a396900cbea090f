//! The timeline as a picture: a lane for each processor, in which each column is as high as the processor was busy, in the
//! colour of who ran most there. Its size depends on the lanes and not on how much happened.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::timeline::{Owner, Timeline};

/// Of everything that is drawn, in pixels.
const LEFT: usize = 70;
const WIDTH: usize = 900;
const TOP: usize = 44;
const LANE: usize = 34;
const GAP: usize = 8;
const ROW: usize = 20;
/// Steps of a column's height.
const STEPS: u64 = 17;

/// Of those who ran most, in order; then that of all others, and of the kernel.
const COLOURS: [&str; 9] =
    ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e"];
const OTHERS: &str = "#b8bdc4";
const KERNEL: &str = "#5f6670";

/// Who is told apart: programs by name and process.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Who {
    owner: Owner,
    name: String,
}

/// Draws the picture.
pub fn draw(timeline: &Timeline) -> String {
    let ranking = ranking(timeline);
    let places: HashMap<&Who, usize> = ranking.iter().enumerate().map(|(place, (who, _))| (who, place)).collect();
    let end = timeline.end.max(1);
    let rows = ranking.len().min(COLOURS.len() + 1);
    let lanes_end = TOP + timeline.cpus * (LANE + GAP);
    let height = lanes_end + 34 + rows.div_ceil(2) * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {height}\" width=\"{whole}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{whole}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n",
        whole = LEFT + WIDTH + 20,
        title = escape(&title(timeline)),
    );
    for cpu in 0..timeline.cpus {
        let top = TOP + cpu * (LANE + GAP);
        let columns = columns(timeline, cpu, end, &places);
        let busy: u64 = timeline
            .slices
            .iter()
            .filter(|slice| usize::from(slice.cpu) == cpu)
            .map(|slice| slice.end - slice.start)
            .sum();
        let share = u128::from(busy) * 100 / u128::from(end);
        let _ = write!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{LANE}\" fill=\"#f1f3f5\"/>\n\
             <text x=\"{x}\" y=\"{name}\" text-anchor=\"end\">CPU {cpu}</text>\
             <text x=\"{x}\" y=\"{below}\" text-anchor=\"end\" font-size=\"10\" fill=\"#777\">{share} %</text>\n",
            x = LEFT - 8,
            name = top + 15,
            below = top + 28,
        );
        for (colour, path) in paths(&columns, top + LANE) {
            let _ = writeln!(svg, "<path fill=\"{colour}\" d=\"{path}\"/>");
        }
    }
    axis(&mut svg, lanes_end, end);
    legend(&mut svg, timeline, &ranking, lanes_end + 44);
    svg.push_str("</svg>\n");
    svg
}

fn title(timeline: &Timeline) -> String {
    let agents: Vec<&str> = timeline.agents.iter().skip(1).map(String::as_str).collect();
    let who = if agents.is_empty() { "AIOS".to_owned() } else { agents.join(", ") };
    let processors = if timeline.cpus == 1 { "processor" } else { "processors" };
    format!("{who} on {} {processors}, {}", timeline.cpus, seconds(timeline.end))
}

/// Who ran, longest first, and for how long.
fn ranking(timeline: &Timeline) -> Vec<(Who, u64)> {
    let mut times: BTreeMap<Who, u64> = BTreeMap::new();
    for slice in &timeline.slices {
        let Some(thread) = timeline.threads.get(&slice.thread) else { continue };
        *times.entry(who(thread.owner, &slice.name)).or_default() += slice.end - slice.start;
    }
    let mut ranking: Vec<_> = times.into_iter().collect();
    ranking.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    ranking
}

/// The kernel's threads are one.
fn who(owner: Owner, name: &str) -> Who {
    let name = if owner == Owner::Kernel { "kernel" } else { name };
    Who { owner, name: name.to_owned() }
}

fn colour(place: usize, who: &Who) -> &'static str {
    match who.owner {
        Owner::Kernel => KERNEL,
        Owner::Process { .. } => COLOURS.get(place).copied().unwrap_or(OTHERS),
    }
}

/// Each column's colour and height, from the threads that ran in it.
fn columns(
    timeline: &Timeline,
    cpu: usize,
    end: u64,
    places: &HashMap<&Who, usize>,
) -> Vec<Option<(&'static str, u64)>> {
    let mut ran: Vec<BTreeMap<&'static str, u64>> = vec![BTreeMap::new(); WIDTH];
    let edge = |column: usize| (u128::from(end) * column as u128 / WIDTH as u128) as u64;
    let column_of = |at: u64| ((u128::from(at) * WIDTH as u128 / u128::from(end)) as usize).min(WIDTH - 1);
    for slice in timeline.slices.iter().filter(|slice| usize::from(slice.cpu) == cpu) {
        let Some(thread) = timeline.threads.get(&slice.thread) else { continue };
        let who = who(thread.owner, &slice.name);
        let colour = colour(places.get(&who).copied().unwrap_or(usize::MAX), &who);
        for column in column_of(slice.start)..=column_of(slice.end) {
            let within = slice.end.min(edge(column + 1)).saturating_sub(slice.start.max(edge(column)));
            if let Some(ran) = ran.get_mut(column).filter(|_| within > 0) {
                *ran.entry(colour).or_default() += within;
            }
        }
    }
    let column = |(column, ran): (usize, BTreeMap<&'static str, u64>)| {
        let (most, _) = ran.iter().max_by_key(|(_, time)| **time)?;
        let busy: u64 = ran.values().sum();
        let whole = (edge(column + 1) - edge(column)).max(1);
        Some((*most, (busy.min(whole) * STEPS).div_ceil(whole)))
    };
    ran.into_iter().enumerate().map(column).collect()
}

/// One path for each colour: equal neighbours are one rectangle.
fn paths(columns: &[Option<(&'static str, u64)>], bottom: usize) -> BTreeMap<&'static str, String> {
    let mut paths: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut at = 0;
    for run in columns.chunk_by(|a, b| a == b) {
        if let Some(Some((colour, height))) = run.first() {
            let (x, width) = (LEFT + at, run.len());
            let height = *height as usize * LANE / STEPS as usize;
            let path = paths.entry(colour).or_default();
            let _ = write!(path, "M{x} {bottom}v-{height}h{width}v{height}z");
        }
        at += run.len();
    }
    paths
}

/// The time, at round distances.
fn axis(svg: &mut String, y: usize, end: u64) {
    let steps = (3..12).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let step = steps.into_iter().find(|step| end / step <= 10).unwrap_or(end);
    for at in (0..=end / step).map(|index| index * step) {
        let x = LEFT + (u128::from(at) * WIDTH as u128 / u128::from(end)) as usize;
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {TOP}V{y}\" stroke=\"#222\" stroke-opacity=\".15\"/>\
             <text x=\"{x}\" y=\"{below}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#777\">{}</text>",
            seconds(at),
            below = y + 12,
        );
    }
}

fn legend(svg: &mut String, timeline: &Timeline, ranking: &[(Who, u64)], top: usize) {
    let mut rows: Vec<(&str, String, u64)> = Vec::new();
    let mut others = (0, 0);
    for (place, (who, time)) in ranking.iter().enumerate() {
        let colour = colour(place, who);
        let owner = timeline.owner_name(who.owner);
        match who.owner {
            Owner::Kernel => rows.push((colour, owner, *time)),
            Owner::Process { .. } if colour == OTHERS => others = (others.0 + 1, others.1 + time),
            Owner::Process { .. } => rows.push((colour, format!("{} ({owner})", who.name), *time)),
        }
    }
    if others.0 > 0 {
        rows.push((OTHERS, format!("{} more", others.0), others.1));
    }
    for (index, (colour, name, time)) in rows.iter().take(COLOURS.len() + 2).enumerate() {
        let (x, y) = (LEFT + index % 2 * (WIDTH / 2), top + index / 2 * ROW);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{}: {}</text>",
            y - 10,
            x + 18,
            escape(name),
            seconds(*time),
        );
    }
}

fn seconds(ns: u64) -> String {
    match ns {
        0 => "0".to_owned(),
        1_000_000_000.. => format!("{}.{:02} s", ns / 1_000_000_000, ns / 10_000_000 % 100),
        1_000_000.. => format!("{}.{:01} ms", ns / 1_000_000, ns / 100_000 % 10),
        _ => format!("{} µs", ns / 1000),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::super::Timeline;
    use super::super::timeline::tests::{example, trace};
    use aios_abi::sched_trace::{Event, Left};

    #[test]
    fn a_picture_shows_who_ran() {
        let svg = super::draw(&Timeline::read(&trace(&example())).unwrap());
        for expected in ["CPU 0", "CPU 1", "second &quot;quoted", "first (agent an agent with a long name, process 1)"]
        {
            assert!(svg.contains(expected), "{expected} is not in {svg}");
        }
        // CPU 0 ran 60 of 110 ns.
        assert!(svg.contains(">54 %<"), "{svg}");
    }

    #[test]
    fn much_that_happens_makes_no_large_picture() {
        let mut events = example();
        for at in 0..200_000 {
            let (from, to) = if at % 2 == 0 { (3, 4) } else { (4, 3) };
            events.push((200 + at * at % 977 + at * 1000, 0, Event::Switch { from, left: Left::Waiting, to }));
        }
        let svg = super::draw(&Timeline::read(&trace(&events)).unwrap());
        assert!(svg.len() < 60_000, "{} bytes", svg.len());
    }

    #[test]
    fn an_empty_trace_is_an_empty_picture() {
        assert!(super::draw(&Timeline::read(&trace(&[])).unwrap()).ends_with("</svg>\n"));
    }
}
