//! virtio devices behind a modern PCI transport (VIRTIO 1.2).
//!
//! What a device writes is foreign input: indices and lengths are checked against what the driver itself remembers.

#[cfg(test)]
mod model;
pub mod ninep;
pub mod ports;
pub mod queue;
pub mod spec;
#[cfg(test)]
mod tests;
pub mod transport;

pub use ninep::P9Channel;
pub use ports::SerialPorts;
pub use transport::ProbeError;
