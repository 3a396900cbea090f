//! An ordered queue of entities that owns them: insert, first, remove by place, each in O(log n), without allocating.
//!
//! A treap: ordered by [`Key`], heap-ordered by a rank that is drawn anew at each insertion, so no sequence of deadlines
//! makes it deep. Each node knows the least virtual run time below it, which finds the first eligible entity.

use alloc::boxed::Box;

use super::entity::{Entity, Key, Link};

pub(super) struct Tree<T> {
    root: Link<T>,
    random: u32,
}

#[inline]
fn lesser(a: i64, b: i64) -> i64 {
    if a.wrapping_sub(b) < 0 { a } else { b }
}

impl<T> Entity<T> {
    fn refresh(&mut self) {
        self.low = self.vruntime;
        for child in [&self.left, &self.right].into_iter().flatten() {
            self.low = lesser(self.low, child.low);
        }
    }
}

impl<T> Tree<T> {
    pub fn new(seed: u32) -> Tree<T> {
        Tree { root: None, random: seed | 1 }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        let mut len = 0;
        self.visit(&mut |_| {
            len += 1;
            true
        });
        len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Puts an entity at the place its key says. Keys are unique.
    pub fn insert(&mut self, mut entity: Box<Entity<T>>) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        entity.rank = self.random;
        entity.low = entity.vruntime;
        insert(&mut self.root, entity);
    }

    pub fn remove(&mut self, key: Key) -> Link<T> {
        remove(&mut self.root, key)
    }

    /// The entity at a place.
    pub fn get(&self, key: Key) -> Option<&Entity<T>> {
        let mut at = self.root.as_deref();
        while let Some(node) = at.filter(|node| node.key != key) {
            at = if key.before(&node.key) { node.left.as_deref() } else { node.right.as_deref() };
        }
        at
    }

    pub fn first(&self) -> Option<&Entity<T>> {
        let mut at = self.root.as_deref()?;
        while let Some(left) = at.left.as_deref() {
            at = left;
        }
        Some(at)
    }

    pub fn pop_first(&mut self) -> Link<T> {
        let key = self.first()?.key;
        self.remove(key)
    }

    /// The first entity, in order, whose virtual run time is `eligible`, a test that is true up to some time.
    #[inline]
    pub fn first_eligible(&self, eligible: impl Fn(i64) -> bool) -> Option<Key> {
        let mut at = self.root.as_deref();
        while let Some(node) = at {
            match node.left.as_deref() {
                Some(left) if eligible(left.low) => at = Some(left),
                _ if eligible(node.vruntime) => return Some(node.key),
                _ => at = node.right.as_deref(),
            }
        }
        None
    }

    /// Shows entities to `see`, in no particular order, until it returns false.
    pub fn visit(&self, see: &mut dyn FnMut(&Entity<T>) -> bool) {
        visit(&self.root, see);
    }
}

fn visit<T>(at: &Link<T>, see: &mut dyn FnMut(&Entity<T>) -> bool) -> bool {
    match at {
        None => true,
        Some(node) => see(node) && visit(&node.left, see) && visit(&node.right, see),
    }
}

fn insert<T>(at: &mut Link<T>, mut entity: Box<Entity<T>>) {
    match at {
        Some(node) if node.rank >= entity.rank => {
            node.low = lesser(node.low, entity.vruntime);
            let side = if entity.key.before(&node.key) { &mut node.left } else { &mut node.right };
            insert(side, entity);
        }
        _ => {
            if at.is_some() {
                (entity.left, entity.right) = split(at.take(), &entity.key);
                entity.refresh();
            }
            *at = Some(entity);
        }
    }
}

/// What is before `key`, and the rest.
fn split<T>(at: Link<T>, key: &Key) -> (Link<T>, Link<T>) {
    let Some(mut node) = at else { return (None, None) };
    if node.key.before(key) {
        let (less, rest) = split(node.right.take(), key);
        node.right = less;
        node.refresh();
        (Some(node), rest)
    } else {
        let (less, rest) = split(node.left.take(), key);
        node.left = rest;
        node.refresh();
        (less, Some(node))
    }
}

fn remove<T>(at: &mut Link<T>, key: Key) -> Link<T> {
    let node = at.as_mut()?;
    if node.key == key {
        let mut node = at.take()?;
        if node.left.is_some() || node.right.is_some() {
            *at = merge(node.left.take(), node.right.take());
        }
        return Some(node);
    }
    let removed = remove(if key.before(&node.key) { &mut node.left } else { &mut node.right }, key);
    node.refresh();
    removed
}

fn merge<T>(left: Link<T>, right: Link<T>) -> Link<T> {
    match (left, right) {
        (None, one) | (one, None) => one,
        (Some(mut left), Some(mut right)) => {
            if left.rank >= right.rank {
                left.right = merge(left.right.take(), Some(right));
                left.refresh();
                Some(left)
            } else {
                right.left = merge(Some(left), right.left.take());
                right.refresh();
                Some(right)
            }
        }
    }
}

/// Ends the entities one by one: a deep tree is not dropped by recursion into both sides at once.
impl<T> Drop for Tree<T> {
    fn drop(&mut self) {
        while self.pop_first().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;
    use crate::policy::testing::Random;
    use crate::policy::{Class, CpuSet, GroupId};

    fn entity(at: u64, id: u64, vruntime: i64) -> Box<Entity<u32>> {
        let mut entity = Entity::thread(id, Class::default(), GroupId::ROOT, CpuSet::ALL);
        entity.key = Key { at, id };
        entity.vruntime = vruntime;
        Box::new(entity)
    }

    fn depth<T>(at: &Link<T>) -> usize {
        at.as_ref().map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
    }

    /// Any sequence of operations agrees with a sorted map searched from its beginning.
    #[test]
    fn agrees_with_a_sorted_map() {
        for seed in 0..50 {
            let mut random = Random(seed);
            let mut tree = Tree::new(7);
            let mut model: BTreeMap<(u64, u64), i64> = BTreeMap::new();
            for id in 0..400 {
                if random.below(3) < 2 {
                    let (at, vruntime) = (random.below(50), random.below(1000) as i64);
                    tree.insert(entity(at, id, vruntime));
                    model.insert((at, id), vruntime);
                } else if !model.is_empty() {
                    let keys: Vec<_> = model.keys().copied().collect();
                    let (at, id) = keys[random.below(keys.len() as u64) as usize];
                    model.remove(&(at, id));
                    assert!(tree.remove(Key { at, id }).is_some_and(|entity| entity.key.id == id));
                }
                let limit = random.below(1000) as i64;
                let found = tree.first_eligible(|vruntime| vruntime <= limit);
                let expected = model.iter().find(|(_, vruntime)| **vruntime <= limit);
                assert_eq!(found.map(|key| (key.at, key.id)), expected.map(|(key, _)| *key));
                assert_eq!(tree.first().map(|node| (node.key.at, node.key.id)), model.keys().next().copied());
                let (at, id) = (random.below(50), random.below(400));
                assert_eq!(
                    tree.get(Key { at, id }).map(|node| (node.key, node.vruntime)),
                    model.get(&(at, id)).map(|vruntime| (Key { at, id }, *vruntime))
                );
                model.iter().take(3).for_each(|((at, id), vruntime)| {
                    assert_eq!(tree.get(Key { at: *at, id: *id }).map(|node| node.vruntime), Some(*vruntime));
                });
                assert_eq!(tree.len(), model.len());
            }
            assert!(tree.remove(Key { at: 1000, id: 1000 }).is_none());
        }
    }

    #[test]
    fn ordered_input_stays_shallow() {
        let mut tree = Tree::new(3);
        (0..10_000).for_each(|at| tree.insert(entity(at, at, 0)));
        assert!(depth(&tree.root) < 60, "{}", depth(&tree.root));
    }

    #[test]
    fn order_survives_the_wrap() {
        let mut tree = Tree::new(3);
        tree.insert(entity(5, 1, 0));
        tree.insert(entity(u64::MAX - 5, 2, 0));
        assert_eq!(tree.pop_first().map(|entity| entity.key.id), Some(2));
    }
}
