//! The 9P channel against well-behaved and hostile devices.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use std::vec::Vec;

use aios_abi::Errno;
use kernel_hal::addr::Phys;
use kernel_hal::hosted;
use proptest::prelude::*;

use super::model::{self, Manner, Shape};
use super::queue::{Part, Queue};
use super::spec::feature;
use super::{P9Channel, ProbeError};

/// All tests share one clock: whoever moves it far holds this alone.
static CLOCK: RwLock<()> = RwLock::new(());

fn steady_clock() -> RwLockReadGuard<'static, ()> {
    CLOCK.read().unwrap_or_else(PoisonError::into_inner)
}

fn channel(manner: Manner) -> P9Channel {
    P9Channel::new(model::function(manner, Shape::default())).expect("a usable device")
}

fn refused(shape: Shape) -> Option<ProbeError> {
    P9Channel::new(model::function(Manner::Proper, shape)).err()
}

fn inverted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| !byte).collect()
}

#[test]
fn a_request_in_parts_gets_its_reply() {
    let _clock = steady_clock();
    let channel = channel(Manner::Proper);
    assert_eq!((channel.tag(), channel.max_message()), ("image", 65536));
    let mut reply = std::vec![1, 2, 3];
    for len in [7, 8, 4096, 60_000] {
        let payload: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        channel.call(&[b"request", &payload, &[]], &mut reply).expect("a reply");
        assert_eq!(reply, inverted(&[b"request", payload.as_slice()].concat()));
    }
}

#[test]
fn many_threads_get_their_own_replies() {
    let _clock = steady_clock();
    for manner in [Manner::Proper, Manner::Reversed, Manner::Scribbler] {
        let channel = Arc::new(channel(manner));
        std::thread::scope(|scope| {
            for thread in 0..20u8 {
                let channel = channel.clone();
                scope.spawn(move || {
                    let mut reply = Vec::new();
                    for round in 0..50u8 {
                        let request = [thread, round, 1, 2, 3, 4, 5, 6];
                        channel.call(&[&request], &mut reply).expect("a reply");
                        assert_eq!(reply, inverted(&request));
                    }
                });
            }
        });
    }
}

#[test]
fn requests_of_impossible_length_are_refused() {
    let _clock = steady_clock();
    let channel = channel(Manner::Proper);
    let mut reply = Vec::new();
    let long = std::vec![0; channel.max_message()];
    assert_eq!(channel.call(&[b"x", &long], &mut reply), Err(Errno::EMSGSIZE));
    assert_eq!(channel.call(&[b"short"], &mut reply), Err(Errno::EINVAL));
    channel.call(&[&long], &mut reply).expect("exactly as long as allowed");
}

#[test]
fn a_short_reply_fails_that_call_only() {
    let _clock = steady_clock();
    let channel = channel(Manner::Short);
    let mut reply = Vec::new();
    for _ in 0..40 {
        assert_eq!(channel.call(&[b"request"], &mut reply), Err(Errno::EIO));
    }
}

#[test]
fn a_device_that_breaks_the_rules_is_not_used_any_more() {
    let _clock = steady_clock();
    for manner in [Manner::UnknownId, Manner::TooLong, Manner::IndexJump, Manner::NeedsReset] {
        let channel = channel(manner);
        let mut reply = Vec::new();
        for _ in 0..3 {
            assert_eq!(channel.call(&[b"request"], &mut reply), Err(Errno::EIO), "{manner:?}");
        }
    }
}

#[test]
fn a_device_that_fails_ends_all_waits() {
    let _clock = steady_clock();
    let channel = channel(Manner::UnknownId);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(channel.call(&[b"request"], &mut Vec::new()), Err(Errno::EIO)));
        }
    });
}

#[test]
fn a_chain_returned_twice_breaks_the_queue() {
    let _clock = steady_clock();
    let channel = channel(Manner::Twice);
    let mut reply = Vec::new();
    let results: Vec<_> = (0..3).map(|_| channel.call(&[b"request"], &mut reply)).collect();
    assert_eq!(results.last(), Some(&Err(Errno::EIO)));
}

#[test]
fn devices_that_describe_themselves_wrongly_are_refused() {
    let usual = Shape::default();
    assert_eq!(refused(Shape { features: 1, ..usual.clone() }), Some(ProbeError::Features));
    assert_eq!(refused(Shape { features: feature::VERSION_1, ..usual.clone() }), Some(ProbeError::Features));
    assert_eq!(refused(Shape { accepts_features: false, ..usual.clone() }), Some(ProbeError::Features));
    assert_eq!(refused(Shape { queue_size: 0, ..usual.clone() }), Some(ProbeError::NoQueue(0)));
    assert_eq!(refused(Shape { queue_size: 12, ..usual.clone() }), Some(ProbeError::NoQueue(0)));
    assert_eq!(refused(Shape { notify_offset: 0x40, ..usual.clone() }), Some(ProbeError::NoQueue(0)));
    assert_eq!(refused(Shape { common_bar: 2, ..usual.clone() }), Some(ProbeError::NoStructure("common")));
    assert_eq!(refused(Shape { common_bar: 9, ..usual.clone() }), Some(ProbeError::NoStructure("common")));
    assert_eq!(refused(Shape { msix: false, ..usual.clone() }), Some(ProbeError::NoInterrupt));
    let tag = Some(ProbeError::Configuration("mount tag"));
    assert_eq!(refused(Shape { tag_len: 0xffff, ..usual.clone() }), tag);
    assert_eq!(refused(Shape { tag_len: 0, ..usual.clone() }), tag);
    assert_eq!(refused(Shape { tag_len: 6, ..usual.clone() }), tag);
    assert_eq!(refused(Shape { tag: b"\xff\xfe\xfd\xfc\xfb".to_vec(), ..usual.clone() }), tag);
    assert_eq!(refused(usual), None);
}

#[test]
fn a_queue_of_two_descriptors_serves_many_threads() {
    let _clock = steady_clock();
    let function = model::function(Manner::Proper, Shape { queue_size: 2, ..Shape::default() });
    let channel = P9Channel::new(function).expect("a usable device");
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| channel.call(&[b"request"], &mut Vec::new()).expect("a reply"));
        }
    });
}

#[test]
fn a_silent_device_is_given_up_on() {
    let _clock = CLOCK.write().unwrap_or_else(PoisonError::into_inner);
    let channel = channel(Manner::Silent);
    std::thread::scope(|scope| {
        // More than there are slots: those that wait for one give up too.
        let callers: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| assert_eq!(channel.call(&[b"request"], &mut Vec::new()), Err(Errno::EIO))))
            .collect();
        while !callers.iter().all(|caller| caller.is_finished()) {
            hosted::advance(Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(channel.call(&[b"request"], &mut Vec::new()), Err(Errno::EIO));
}

proptest! {
    /// A device that writes anything into the used ring: the queue survives and never hands out more than it has.
    #[test]
    fn any_used_ring_is_survived(steps in proptest::collection::vec((0u8..3, 0u16..9, any::<u32>(), any::<u32>()), 1..60)) {
        hosted::init(64 << 20);
        let mut queue = Queue::new(8).expect("memory");
        let used = queue.addresses()[2];
        let part = |device_writes| Part { address: Phys(0x1000), len: 64, device_writes };
        let mut in_flight = 0usize;
        for (step, index, id, written) in steps {
            match step {
                0 => in_flight += usize::from(queue.push(&[part(false), part(true)]).is_some()),
                1 => {
                    let at = used + 4 + 8 * u64::from(index % 8);
                    hosted::write_phys(at, &(id % 9).to_le_bytes());
                    hosted::write_phys(at + 4, &(written % 66).to_le_bytes());
                    hosted::write_phys(used + 2, &index.to_le_bytes());
                }
                _ => match queue.pop() {
                    Ok(Some(used)) => {
                        prop_assert!(used.written <= 64 && used.token.index() < 8 && in_flight > 0);
                        in_flight -= 1;
                    }
                    Ok(None) => {}
                    Err(_) => return Ok(()),
                },
            }
            prop_assert!(in_flight <= 4);
        }
    }
}
