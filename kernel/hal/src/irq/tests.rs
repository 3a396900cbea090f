//! Whole ways of an interrupt on the hosted machine: from a device's pin or message to the handler.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;

use super::redirection::{Polarity, Trigger, Wiring};
use super::{Claim, IoApicAt, IsaOverride, Message, MessageSource, Vector, ioapic::tests::Model, storm};
use crate::hosted;

/// A vector whose handler counts, and claims as told.
fn counting(name: &str, claim: Claim) -> (Vector, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let handler = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        claim
    };
    (super::allocate_vector(name, Box::new(handler)).expect("a vector"), count)
}

fn summary(vector: Vector) -> super::Summary<'static> {
    super::summary(usize::from(vector.number() - super::FIRST_VECTOR)).expect("a connected interrupt")
}

/// A device with one message.
#[derive(Default)]
struct Device {
    message: Mutex<Option<Message>>,
    masked: AtomicBool,
    pending: AtomicBool,
}

impl Device {
    fn interrupt(&self) -> bool {
        if self.masked.load(Ordering::SeqCst) {
            self.pending.store(true, Ordering::SeqCst);
            return false;
        }
        let message = *self.message.lock().expect("message");
        message.is_some_and(|message| hosted::raise_msi(message.address, message.data))
    }
}

struct Port(Arc<Device>);

impl MessageSource for Port {
    fn set_message(&self, message: Message) {
        assert!(self.0.masked.load(Ordering::SeqCst), "a message changes in steps, so it must be held back");
        *self.0.message.lock().expect("message") = Some(message);
    }

    fn set_mask(&self, masked: bool) {
        self.0.masked.store(masked, Ordering::SeqCst);
    }

    fn kind(&self) -> &'static str {
        "PCI-MSI"
    }
}

/// The only test that installs controllers: there is one set of them.
#[test]
fn lines_go_where_the_firmware_says() {
    let (first, second) = (Model::add(0x2_fec0_0000, 24), Model::add(0x2_fec0_1000, 8));
    let places = [(0x2_fec0_0000, 0), (0x2_fec0_1000, 24)].map(|(address, gsi_base)| IoApicAt { address, gsi_base });
    let level = Wiring { trigger: Trigger::Level, polarity: Polarity::Low };
    let moved = IsaOverride { line: 9, gsi: 20, wiring: level };
    let (old, old_count) = counting("before", Claim::Mine);
    assert!(super::route_isa(3, old), "the machine's own lines, until controllers are installed");
    assert!(hosted::raise_isa(3));
    old.mask();
    assert!(!hosted::raise_isa(3));
    assert_eq!(old_count.load(Ordering::SeqCst), 1);
    assert!(super::install(&places, &[moved]));

    let (serial, serial_count) = counting("ttyS0", Claim::Mine);
    assert!(super::route_isa(4, serial));
    assert!(first.assert_pin(4));
    assert_eq!(serial_count.load(Ordering::SeqCst), 1);
    let seen = summary(serial);
    assert_eq!((seen.number, seen.chip, seen.trigger, seen.total()), (4, "IO-APIC", Trigger::Edge, 1));

    let (acpi, acpi_count) = counting("acpi", Claim::Mine);
    assert!(super::route_isa(9, acpi));
    assert!(!first.assert_pin(9), "its pin is elsewhere");
    assert_eq!((first.entry(20).wiring, summary(acpi).number), (level, 9));
    assert!(first.assert_pin(20));
    assert_eq!(acpi_count.load(Ordering::SeqCst), 1);

    let (far, far_count) = counting("far", Claim::Mine);
    assert!(super::route_gsi(24 + 5, level, far) && second.assert_pin(5));
    assert_eq!(far_count.load(Ordering::SeqCst), 1);
    let (nobody, _) = counting("nobody", Claim::Mine);
    assert!(!super::route_gsi(32, level, nobody) && !super::route_isa(16, nobody));

    serial.mask();
    assert!(!first.assert_pin(4) && summary(serial).masked);
    serial.unmask();
    assert!(first.assert_pin(4));
    assert!(serial.set_cpu(3));
    assert_eq!((first.entry(4).destination, summary(serial).cpu), (3, 3));
    assert!(!serial.set_cpu(200));
    assert_eq!((first.entry(4).destination, summary(serial).cpu), (3, 3));

    let (vector, count) = counting("after", Claim::Mine);
    vector.attach(Box::new(Port(Arc::default())));
    assert!(summary(vector).number >= 32, "messages are numbered above all lines");
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn a_message_follows_its_target() {
    let device = Arc::new(Device::default());
    let (vector, count) = counting("device", Claim::Mine);
    vector.attach(Box::new(Port(device.clone())));
    assert!(device.interrupt());
    assert!(vector.set_cpu(2));
    let message = device.message.lock().expect("message").expect("a message");
    assert_eq!(message, Message { address: 0xfee0_2000, data: u32::from(vector.number()) });
    assert!(device.interrupt());
    vector.mask();
    assert!(!device.interrupt() && device.pending.load(Ordering::SeqCst));
    assert!(vector.set_cpu(1));
    assert!(device.masked.load(Ordering::SeqCst), "masked it stays");
    vector.unmask();
    assert!(device.interrupt());
    assert_eq!((count.load(Ordering::SeqCst), summary(vector).total()), (3, 3));
    assert_eq!(summary(vector).name, "device");
}

#[test]
fn a_storm_is_masked_and_told() {
    let device = Arc::new(Device::default());
    let told = Arc::new(AtomicU32::new(0));
    let (vector, count) = counting("broken", Claim::NotMine);
    vector.attach(Box::new(Port(device.clone())));
    let teller = told.clone();
    vector.on_storm(Box::new(move || {
        teller.fetch_add(1, Ordering::SeqCst);
    }));
    let mut sent = 0;
    while device.interrupt() {
        sent += 1;
        assert!(sent <= storm::LIMIT, "the storm goes on");
    }
    assert_eq!((sent, told.load(Ordering::SeqCst)), (storm::LIMIT, 1));
    assert_eq!(count.load(Ordering::SeqCst), storm::LIMIT as usize);
    assert!(summary(vector).masked && summary(vector).unclaimed == u64::from(storm::LIMIT));
    // The driver has mended it.
    vector.unmask();
    assert!(device.interrupt());
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn a_driver_that_works_is_never_silenced() {
    let device = Arc::new(Device::default());
    let turn = AtomicU32::new(0);
    // Every second one finds that a thread was faster.
    let handler =
        move || if turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { Claim::Mine } else { Claim::NotMine };
    let vector = super::allocate_vector("busy", Box::new(handler)).expect("a vector");
    vector.attach(Box::new(Port(device.clone())));
    assert!((0..20 * storm::LIMIT).all(|_| device.interrupt()));
    assert!(!summary(vector).masked);
}

#[test]
fn strays_are_counted() {
    let before = super::unexpected();
    assert!(!hosted::raise_msi(0xfee0_0000, 0xdf));
    assert_eq!(super::unexpected(), before + 1);
    assert!(super::total() > before);
}

#[test]
fn storms_are_a_matter_of_rate() {
    // Faster than any device interrupts by mistake, slower than what stops a processor.
    let per_second = u64::from(storm::LIMIT) * (Duration::from_secs(1).as_nanos() / storm::WINDOW.as_nanos()) as u64;
    assert_eq!(per_second, 10_000);
}
