//! Numbers of the specification: Virtual I/O Device (VIRTIO) 1.2.

/// PCI vendor of all virtio devices (§4.1.2).
pub const VENDOR: u16 = 0x1af4;

/// The two PCI device numbers of a device type: current, and transitional where that exists (§4.1.2.1).
pub const fn pci_devices(kind: u16, transitional: u16) -> [u16; 2] {
    [0x1040 + kind, transitional]
}

/// Device status bits (§2.1).
pub mod status {
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FEATURES_OK: u8 = 8;
    pub const NEEDS_RESET: u8 = 64;
    pub const FAILED: u8 = 128;
}

/// Feature bits that are not one device's own (§6).
pub mod feature {
    pub const VERSION_1: u64 = 1 << 32;
}

/// The vendor capability that points at a structure (§4.1.4).
pub mod capability {
    pub const ID: u8 = 0x09;
    pub const COMMON: u8 = 1;
    pub const NOTIFY: u8 = 2;
    pub const DEVICE: u8 = 4;
}

/// Offsets in the common configuration structure (§4.1.4.3).
pub mod common {
    pub const DEVICE_FEATURE_SELECT: usize = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: usize = 0x08;
    pub const DRIVER_FEATURE: usize = 0x0c;
    pub const CONFIG_VECTOR: usize = 0x10;
    pub const QUEUES: usize = 0x12;
    pub const STATUS: usize = 0x14;
    pub const GENERATION: usize = 0x15;
    pub const QUEUE_SELECT: usize = 0x16;
    pub const QUEUE_SIZE: usize = 0x18;
    pub const QUEUE_VECTOR: usize = 0x1a;
    pub const QUEUE_ENABLE: usize = 0x1c;
    pub const QUEUE_NOTIFY_OFFSET: usize = 0x1e;
    pub const QUEUE_DESCRIPTORS: usize = 0x20;
    pub const QUEUE_AVAILABLE: usize = 0x28;
    pub const QUEUE_USED: usize = 0x30;
    pub const LENGTH: u32 = 0x38;
}

/// Descriptor flags (§2.7.5) and used-ring flags (§2.7.10).
pub mod ring {
    pub const NEXT: u16 = 1;
    pub const DEVICE_WRITES: u16 = 2;
    pub const NO_NOTIFY: u16 = 1;
    /// Bytes of a descriptor and of a used-ring element.
    pub const DESCRIPTOR: usize = 16;
    pub const USED_ELEMENT: usize = 8;
}

/// A vector register that no vector was given to (§4.1.5.1.2).
pub const NO_VECTOR: u16 = 0xffff;

/// The console device (§5.3).
pub mod console {
    pub const KIND: u16 = 3;
    pub const TRANSITIONAL: u16 = 0x1003;
    /// Feature: more than one port, and control queues.
    pub const MULTIPORT: u64 = 1 << 1;
    /// Offset of the number of ports in the configuration.
    pub const MAX_PORTS: usize = 4;

    pub const CONTROL_RECEIVE: u16 = 2;
    pub const CONTROL_SEND: u16 = 3;

    /// Queue of what comes from the host on a port other than 0 (§5.3.2).
    pub const fn receive_queue(port: u32) -> u16 {
        2 + 2 * port as u16
    }

    pub const fn send_queue(port: u32) -> u16 {
        receive_queue(port) + 1
    }

    /// Events of control messages (§5.3.6.2).
    pub const DEVICE_READY: u16 = 0;
    pub const PORT_ADD: u16 = 1;
    pub const PORT_REMOVE: u16 = 2;
    pub const PORT_READY: u16 = 3;
    pub const PORT_OPEN: u16 = 6;

    /// A control message: port, event, value.
    pub fn message(port: u32, event: u16, value: u16) -> [u8; 8] {
        let mut bytes = [0; 8];
        let fields = port.to_le_bytes().into_iter().chain(event.to_le_bytes()).chain(value.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        bytes
    }

    /// Port, event and value of a control message; `None` for one that is too short.
    pub fn parse(bytes: &[u8]) -> Option<(u32, u16, u16)> {
        let (port, rest) = bytes.split_first_chunk()?;
        let (event, rest) = rest.split_first_chunk()?;
        let value = rest.first_chunk()?;
        Some((u32::from_le_bytes(*port), u16::from_le_bytes(*event), u16::from_le_bytes(*value)))
    }
}
