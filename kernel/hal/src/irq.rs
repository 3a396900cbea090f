//! Device interrupts: vectors with handlers, fed by lines of a controller or by messages of devices.
//!
//! A driver takes a vector with [`allocate_vector`] and connects it to what interrupts: [`route_isa`], [`route_gsi`], or
//! the bus through [`Vector::attach`]. Each vector has one source, one owner and one target processor, which may be
//! changed while it works. The handler runs with interrupts off; it acknowledges the device, wakes whoever does the
//! work, and says whether the device had asked at all: a line that nobody claims is silenced before it takes the
//! processor for itself ([`storm`]).
//!
//! Lock order: an interrupt's route, then the controllers. Handlers run under neither.

pub mod redirection;
pub mod storm;

mod ioapic;
mod local;
#[cfg(any(target_os = "none", test))]
pub(crate) mod pic;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

pub use ioapic::IoApicAt;
pub use local::{Local, count, counted};

use crate::cpu::{self, MAX_CPUS};
use crate::lock::IrqLock;
use crate::machine;
use crate::once::Once;
use crate::time::now;
use ioapic::IoApics;
use redirection::{Redirection, Trigger, Wiring};
use storm::Watch;

/// First and last vector given to devices; those below are exceptions and the old controllers', those above belong to
/// the local APIC.
pub const FIRST_VECTOR: u8 = 0x30;
pub const LAST_VECTOR: u8 = 0xdf;
const COUNT: usize = (LAST_VECTOR - FIRST_VECTOR) as usize + 1;

/// Lines of the ISA bus.
pub(crate) const ISA_LINES: u8 = 16;
/// Numbers below are kept for lines, as on Linux, even where the controllers have fewer.
const FIRST_MESSAGE: u32 = 24;

/// Whether the device had something to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    Mine,
    /// Nothing was pending. Normal now and then, a storm when it does not end.
    NotMine,
}

/// Called with interrupts off: acknowledges the device and wakes whoever does the work.
pub type Handler = Box<dyn Fn() -> Claim + Send + Sync>;

/// What a device writes, and where, to interrupt (SDM 3A §11.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    pub address: u64,
    pub data: u32,
}

/// A device's place for one message, as the bus reaches it. Called with interrupts off.
pub trait MessageSource: Send + Sync {
    /// Makes the device use `message` from now on.
    fn set_message(&self, message: Message);

    /// Holds messages back, or sends what was held.
    fn set_mask(&self, masked: bool);

    /// As `/proc/interrupts` calls it.
    fn kind(&self) -> &'static str;
}

enum Source {
    None,
    Line { line: Line, wiring: Wiring },
    Message(Box<dyn MessageSource>),
}

#[derive(Clone, Copy)]
enum Line {
    /// 0–15, at the first controller that the machine has.
    Legacy(u8),
    /// A pin of an I/O APIC.
    Gsi(u32),
}

struct Route {
    /// As people and `/proc` know it.
    number: u32,
    source: Source,
    cpu: usize,
    masked: bool,
}

struct Interrupt {
    name: String,
    handler: Handler,
    on_storm: Once<Box<dyn Fn() + Send + Sync>>,
    watch: Watch,
    counts: Box<[AtomicU64]>,
    route: IrqLock<Route>,
}

static TABLE: [Once<Box<Interrupt>>; COUNT] = [const { Once::new() }; COUNT];
static NEXT: IrqLock<usize> = IrqLock::new(0);
static NEXT_MESSAGE: AtomicU32 = AtomicU32::new(FIRST_MESSAGE);
/// Where interrupts go that nobody has moved.
static DEFAULT_CPU: AtomicUsize = AtomicUsize::new(0);
static UNEXPECTED: AtomicU64 = AtomicU64::new(0);
/// Vectors without a handler that are worth a line in the log.
const TOLD: u64 = 16;

/// An ISA line that does not arrive at the pin of its number, edge triggered and active high.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IsaOverride {
    pub line: u8,
    pub gsi: u32,
    pub wiring: Wiring,
}

struct Controllers {
    chips: IoApics,
    overrides: Box<[IsaOverride]>,
}

/// Until they are set, and on a machine without any, lines go to what the machine has first.
static CONTROLLERS: IrqLock<Option<Controllers>> = IrqLock::new(None);

/// Takes over the machine's I/O APICs, all pins masked. False when none answers: lines then go through the old pair.
/// Called once at start-up, before drivers.
pub fn install(places: &[IoApicAt], overrides: &[IsaOverride]) -> bool {
    let chips = IoApics::take(places);
    if chips.is_empty() {
        return false;
    }
    NEXT_MESSAGE.fetch_max(chips.end(), Ordering::Relaxed);
    *CONTROLLERS.lock() = Some(Controllers { chips, overrides: overrides.into() });
    true
}

/// Sends interrupts that are connected from now on to that processor, if it runs by then.
pub fn set_default_cpu(cpu: usize) {
    DEFAULT_CPU.store(cpu, Ordering::Relaxed);
}

/// A vector with its handler; drivers live as long as the machine, and so do vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector(u8);

/// A free vector that calls `handler`, known as `name` to people. `None` when all are taken.
pub fn allocate_vector(name: &str, handler: Handler) -> Option<Vector> {
    let interrupt = Box::new(Interrupt {
        name: String::from(name),
        handler,
        on_storm: Once::new(),
        watch: Watch::new(),
        counts: (0..MAX_CPUS.min(machine::cpu_limit())).map(|_| AtomicU64::new(0)).collect(),
        route: IrqLock::new(Route { number: 0, source: Source::None, cpu: 0, masked: false }),
    });
    let mut next = NEXT.lock();
    let slot = TABLE.get(*next)?;
    slot.set(interrupt);
    let vector = Vector(FIRST_VECTOR + *next as u8);
    *next += 1;
    Some(vector)
}

fn find(vector: u8) -> Option<&'static Interrupt> {
    let slot = vector.checked_sub(FIRST_VECTOR)?;
    TABLE.get(usize::from(slot))?.get().map(|interrupt| &**interrupt)
}

/// True when the vector has a handler.
#[cfg(not(target_os = "none"))]
pub(crate) fn is_handled(vector: u8) -> bool {
    find(vector).is_some()
}

/// Sends ISA line 0–15 to `vector`, where the firmware's overrides say it arrives. False when the machine has no such
/// line.
pub fn route_isa(line: u8, vector: Vector) -> bool {
    if line >= ISA_LINES {
        return false;
    }
    let (place, wiring) = match &*CONTROLLERS.lock() {
        None => (Line::Legacy(line), Wiring::default()),
        Some(controllers) => {
            let moved = controllers.overrides.iter().find(|moved| moved.line == line);
            moved.map_or((Line::Gsi(u32::from(line)), Wiring::default()), |moved| (Line::Gsi(moved.gsi), moved.wiring))
        }
    };
    vector.connect(u32::from(line), Source::Line { line: place, wiring })
}

/// Sends a global system interrupt to `vector`. False when no I/O APIC serves it.
pub fn route_gsi(gsi: u32, wiring: Wiring, vector: Vector) -> bool {
    vector.connect(gsi, Source::Line { line: Line::Gsi(gsi), wiring })
}

impl Vector {
    fn interrupt(self) -> &'static Interrupt {
        match find(self.0) {
            Some(interrupt) => interrupt,
            // Only `allocate_vector` makes vectors.
            None => panic!("vector {:#x} is nobody's", self.0),
        }
    }

    /// The number that arrives at the processor.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The message that brings this vector to its processor now.
    pub fn message(self) -> Message {
        self.interrupt().route.lock().message(self)
    }

    /// Makes a device's message the source of this vector, open.
    pub fn attach(self, source: Box<dyn MessageSource>) {
        let number = NEXT_MESSAGE.fetch_add(1, Ordering::Relaxed);
        self.connect(number, Source::Message(source));
    }

    fn connect(self, number: u32, source: Source) -> bool {
        let cpu = DEFAULT_CPU.load(Ordering::Relaxed);
        let mut route = self.interrupt().route.lock();
        if matches!(route.source, Source::None) && cpu < cpu::count() {
            route.cpu = cpu;
        }
        let before = (route.number, core::mem::replace(&mut route.source, source));
        route.number = number;
        route.masked = false;
        let connected = route.apply(self);
        if !connected {
            (route.number, route.source) = before;
        }
        connected
    }

    /// Holds the interrupt back at its source.
    pub fn mask(self) {
        self.set_mask(true);
    }

    /// Lets it come again, also after a storm.
    pub fn unmask(self) {
        self.set_mask(false);
    }

    fn set_mask(self, masked: bool) {
        let mut route = self.interrupt().route.lock();
        route.masked = masked;
        match &route.source {
            Source::Message(source) => source.set_mask(masked),
            Source::Line { .. } => {
                route.apply(self);
            }
            Source::None => {}
        }
    }

    /// Sends it to another processor from now on. False when there is no such processor, or the source cannot name it.
    pub fn set_cpu(self, cpu: usize) -> bool {
        if cpu >= cpu::count() || machine::destination(cpu).is_none() {
            return false;
        }
        let mut route = self.interrupt().route.lock();
        let before = core::mem::replace(&mut route.cpu, cpu);
        let moved = route.apply(self);
        if !moved {
            route.cpu = before;
            route.apply(self);
        }
        moved
    }

    /// Called, with interrupts off, after the line was masked because of a storm. The first one given counts.
    pub fn on_storm(self, callback: Box<dyn Fn() + Send + Sync>) {
        let slot = &self.interrupt().on_storm;
        if slot.get().is_none() {
            slot.set(callback);
        }
    }
}

impl Route {
    fn message(&self, vector: Vector) -> Message {
        let destination = machine::destination(self.cpu).unwrap_or(0);
        // Fixed delivery, physical destination, edge.
        Message { address: 0xfee0_0000 | u64::from(destination & 0xff) << 12, data: u32::from(vector.0) }
    }

    /// Tells the source where its interrupts go. False when it cannot do that.
    fn apply(&self, vector: Vector) -> bool {
        match &self.source {
            Source::None => true,
            Source::Message(source) => {
                source.set_mask(true);
                source.set_message(self.message(vector));
                source.set_mask(self.masked);
                true
            }
            Source::Line { line: Line::Legacy(line), .. } => machine::set_line(*line, vector.0, self.masked),
            Source::Line { line: Line::Gsi(gsi), wiring } => {
                let Some(destination) = machine::destination(self.cpu).and_then(|id| u8::try_from(id).ok()) else {
                    return false;
                };
                let entry = Redirection { vector: vector.0, destination, wiring: *wiring, masked: self.masked };
                CONTROLLERS.lock().as_ref().is_some_and(|controllers| controllers.chips.set(*gsi, entry))
            }
        }
    }
}

/// Calls the handler of a vector that arrived, with interrupts off.
pub(crate) fn handle(vector: u8) {
    let Some(interrupt) = find(vector) else {
        if UNEXPECTED.fetch_add(1, Ordering::Relaxed) < TOLD {
            log::warn!("unexpected interrupt, vector {vector:#x}");
        }
        return;
    };
    if let Some(counter) = interrupt.counts.get(cpu::id()) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    match (interrupt.handler)() {
        Claim::Mine => interrupt.watch.claimed(),
        Claim::NotMine => {
            if interrupt.watch.unclaimed(now().0) {
                storm(Vector(vector), interrupt);
            }
        }
    }
}

fn storm(vector: Vector, interrupt: &Interrupt) {
    vector.mask();
    let number = interrupt.route.lock().number;
    log::error!("interrupt {number} ({}): {} in a row that nobody asked for; masked", interrupt.name, storm::LIMIT);
    if let Some(callback) = interrupt.on_storm.get() {
        callback();
    }
}

/// Calls the handler of a line of the old pair, with interrupts off.
#[cfg(target_os = "none")]
pub(crate) fn handle_legacy(line: u8) {
    match pic::arrived(line) {
        Some(vector) => {
            handle(vector);
            pic::end(line);
        }
        None => count(Local::Spurious),
    }
}

/// What is known of one connected interrupt.
pub struct Summary<'a> {
    pub number: u32,
    pub vector: Vector,
    pub name: &'a str,
    /// Linux's name for the kind of controller.
    pub chip: &'static str,
    pub trigger: Trigger,
    pub cpu: usize,
    pub masked: bool,
    /// Interrupts that nobody claimed.
    pub unclaimed: u64,
    counts: &'a [AtomicU64],
}

impl Summary<'_> {
    /// Interrupts that processor `cpu` had.
    pub fn count(&self, cpu: usize) -> u64 {
        self.counts.get(cpu).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

/// The `index`th vector that was given out, if it is connected: walk until [`allocated`].
pub fn summary(index: usize) -> Option<Summary<'static>> {
    let vector = FIRST_VECTOR.checked_add(u8::try_from(index).ok()?)?;
    let interrupt = find(vector)?;
    let route = interrupt.route.lock();
    let (chip, trigger) = match &route.source {
        Source::None => return None,
        Source::Message(source) => (source.kind(), Trigger::Edge),
        Source::Line { line: Line::Legacy(_), wiring } => (machine::LEGACY_CHIP, wiring.trigger),
        Source::Line { line: Line::Gsi(_), wiring } => ("IO-APIC", wiring.trigger),
    };
    Some(Summary {
        number: route.number,
        vector: Vector(vector),
        name: &interrupt.name,
        chip,
        trigger,
        cpu: route.cpu,
        masked: route.masked,
        unclaimed: interrupt.watch.total(),
        counts: &interrupt.counts,
    })
}

/// Vectors given out so far.
pub fn allocated() -> usize {
    *NEXT.lock()
}

/// Vectors that came without a handler.
pub fn unexpected() -> u64 {
    UNEXPECTED.load(Ordering::Relaxed)
}

/// All interrupts of all processors since start.
pub fn total() -> u64 {
    let devices: u64 = (0..allocated()).filter_map(summary).map(|found| found.total()).sum();
    let local: u64 = (0..cpu::count()).map(local::total).sum();
    devices + local + unexpected()
}
