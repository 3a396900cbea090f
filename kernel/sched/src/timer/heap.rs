//! The timers of one processor, the next one first: a leftist heap (C. A. Crane, 1972) of places.
//!
//! The right side of every subtree is its shortest, so it is at most log₂(n + 1) long; adding, taking the first and taking
//! any other walk along right sides only. Nothing is allocated and nothing is moved: places are linked by their numbers.

use core::sync::atomic::{AtomicU32, Ordering};

use super::nodes::{NONE, Node, Nodes};

/// The heap. Its lock is held by whoever calls.
#[derive(Debug)]
pub struct Heap {
    root: u32,
    /// Places looked at since the start, for tests of what it costs.
    #[cfg(test)]
    steps: u64,
}

fn load(link: &AtomicU32) -> u32 {
    link.load(Ordering::Relaxed)
}

fn store(link: &AtomicU32, value: u32) {
    link.store(value, Ordering::Relaxed);
}

fn key(node: &Node) -> u64 {
    node.hard.load(Ordering::Relaxed)
}

impl Heap {
    pub const fn new() -> Heap {
        Heap {
            root: NONE,
            #[cfg(test)]
            steps: 0,
        }
    }

    #[cfg(test)]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn step(&mut self) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
    }

    /// The place that must come first.
    pub fn first(&self) -> Option<u32> {
        (self.root != NONE).then_some(self.root)
    }

    /// Adds a place whose times are set and that is on no heap.
    pub fn insert(&mut self, nodes: &Nodes, number: u32) {
        let node = nodes.get(number);
        store(&node.left, NONE);
        store(&node.right, NONE);
        store(&node.parent, NONE);
        store(&node.rank, 1);
        self.root = self.merge(nodes, self.root, number);
    }

    /// Takes a place out that is on this heap.
    pub fn remove(&mut self, nodes: &Nodes, number: u32) {
        let node = nodes.get(number);
        let parent = load(&node.parent);
        let rest = self.merge(nodes, load(&node.left), load(&node.right));
        if rest != NONE {
            store(&nodes.get(rest).parent, parent);
        }
        if parent == NONE {
            self.root = rest;
            return;
        }
        let above = nodes.get(parent);
        store(if load(&above.left) == number { &above.left } else { &above.right }, rest);
        // A subtree has become shorter: the ranks above it, as long as that changes them.
        let mut at = parent;
        while at != NONE {
            self.step();
            let node = nodes.get(at);
            let before = load(&node.rank);
            settle(nodes, node);
            if load(&node.rank) == before {
                break;
            }
            at = load(&node.parent);
        }
    }

    /// One heap of two; returns its root, whose parent is left for the caller.
    fn merge(&mut self, nodes: &Nodes, a: u32, b: u32) -> u32 {
        if a == NONE || b == NONE {
            return if a == NONE { b } else { a };
        }
        let (root, mut rest) = if key(nodes.get(b)) < key(nodes.get(a)) { (b, a) } else { (a, b) };
        store(&nodes.get(root).parent, NONE);
        // Down both right sides, always by the earlier of the two ...
        let mut at = root;
        loop {
            self.step();
            let node = nodes.get(at);
            let right = load(&node.right);
            let earlier = right == NONE || key(nodes.get(rest)) < key(nodes.get(right));
            if earlier {
                store(&node.right, rest);
                store(&nodes.get(rest).parent, at);
                at = rest;
                rest = right;
                if rest == NONE {
                    break;
                }
            } else {
                at = right;
            }
        }
        // ... and up again: the shorter side to the right. What was appended last is a heap already.
        loop {
            self.step();
            let node = nodes.get(at);
            settle(nodes, node);
            if at == root {
                return root;
            }
            at = load(&node.parent);
        }
    }
}

/// Puts the shorter side to the right, and the rank right.
fn settle(nodes: &Nodes, node: &Node) {
    let rank = |number: u32| if number == NONE { 0 } else { load(&nodes.get(number).rank) };
    let (left, right) = (load(&node.left), load(&node.right));
    let (long, short) = (rank(left), rank(right));
    if long < short {
        store(&node.left, right);
        store(&node.right, left);
    }
    store(&node.rank, long.min(short) + 1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;

    /// A small random sequence, the same each time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    /// Checks order, links and ranks below a place; returns how many there are.
    fn check(nodes: &Nodes, number: u32, parent: u32, least: u64) -> usize {
        if number == NONE {
            return 0;
        }
        let node = nodes.get(number);
        assert_eq!(load(&node.parent), parent);
        assert!(key(node) >= least);
        let rank = |number: u32| if number == NONE { 0 } else { load(&nodes.get(number).rank) };
        let (left, right) = (load(&node.left), load(&node.right));
        assert!(rank(left) >= rank(right) && load(&node.rank) == rank(right) + 1);
        1 + check(nodes, left, number, key(node)) + check(nodes, right, number, key(node))
    }

    #[test]
    fn it_is_an_ordered_set() {
        for seed in 0..60 {
            let (nodes, mut heap, mut random) = (Nodes::new(), Heap::new(), Random(seed));
            let mut model: BTreeMap<(u64, u32), ()> = BTreeMap::new();
            for _ in 0..400 {
                match random.below(5) {
                    0..3 => {
                        let number = nodes.take().expect("a place");
                        let at = random.below(50);
                        nodes.get(number).hard.store(at, Ordering::Relaxed);
                        heap.insert(&nodes, number);
                        model.insert((at, number), ());
                    }
                    3 if !model.is_empty() => {
                        let index = random.below(model.len() as u64) as usize;
                        let (&(at, number), ()) = model.iter().nth(index).expect("one of them");
                        heap.remove(&nodes, number);
                        nodes.give_back(number);
                        model.remove(&(at, number));
                    }
                    _ => {
                        if let Some(number) = heap.first() {
                            let at = key(nodes.get(number));
                            assert_eq!(model.first_key_value().map(|((at, _), ())| *at), Some(at));
                            heap.remove(&nodes, number);
                            nodes.give_back(number);
                            model.remove(&(at, number));
                        }
                    }
                }
                assert_eq!(check(&nodes, heap.root, NONE, 0), model.len());
            }
        }
    }

    /// The most steps that one operation takes with `count` timers set: adding, taking the first, taking any.
    fn worst(count: u64, order: impl Fn(&mut Random, u64) -> u64) -> u64 {
        let (nodes, mut heap, mut random) = (Nodes::new(), Heap::new(), Random(7));
        let mut worst = 0;
        let mut numbers = Vec::new();
        let mut cost = |heap: &mut Heap, act: &mut dyn FnMut(&mut Heap)| {
            let before = heap.steps();
            act(heap);
            worst = worst.max(heap.steps() - before);
        };
        for index in 0..count {
            let number = nodes.take().expect("a place");
            nodes.get(number).hard.store(order(&mut random, index), Ordering::Relaxed);
            cost(&mut heap, &mut |heap| heap.insert(&nodes, number));
            numbers.push(number);
        }
        while !numbers.is_empty() {
            let index = random.below(numbers.len() as u64) as usize;
            let number = numbers.swap_remove(index);
            cost(&mut heap, &mut |heap| heap.remove(&nodes, number));
            if let Some(first) = heap.first() {
                cost(&mut heap, &mut |heap| heap.remove(&nodes, first));
                numbers.retain(|number| *number != first);
            }
        }
        worst
    }

    #[test]
    fn no_operation_costs_more_than_a_logarithm() {
        for count in [10u64, 1000, 10_000] {
            let bound = 6 * u64::from(count.ilog2() + 2);
            for (name, steps) in [
                ("random", worst(count, |random, _| random.below(1 << 40))),
                ("ascending", worst(count, |_, index| index)),
                ("descending", worst(count, |_, index| u64::MAX - index)),
                ("equal", worst(count, |_, _| 5)),
            ] {
                assert!(steps <= bound, "{count} timers, {name}: {steps} steps");
            }
        }
    }
}
