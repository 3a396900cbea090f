//! Errors on the serial port, for machines whose console is a screen that nobody looks at.

use uefi::Handle;
use uefi::boot::{self, OpenProtocolAttributes, OpenProtocolParams, ScopedProtocol};
use uefi::proto::console::serial::Serial;
use uefi::proto::console::text::Output;
use uefi::proto::device_path::{DevicePath, DeviceSubType, DeviceType};
use uefi::proto::{Protocol, ProtocolPointer};

/// Writes to the first serial port, unless the firmware's console already goes to one.
pub fn write(text: &str) {
    if boot::find_handles::<Output>().is_ok_and(|handles| handles.into_iter().any(is_serial)) {
        return;
    }
    let port = boot::get_handle_for_protocol::<Serial>().ok().and_then(share::<Serial>);
    if let Some(mut port) = port {
        // There is nowhere left to report a failure of this write.
        let _ = port.write_exact(text.as_bytes());
    }
}

fn is_serial(console: Handle) -> bool {
    let uart = (DeviceType::MESSAGING, DeviceSubType::MESSAGING_UART);
    share::<DevicePath>(console).is_some_and(|path| path.node_iter().any(|node| node.full_type() == uart))
}

/// Opens a protocol beside the drivers that use it.
fn share<P: Protocol + ProtocolPointer + ?Sized>(handle: Handle) -> Option<ScopedProtocol<P>> {
    let params = OpenProtocolParams { handle, agent: boot::image_handle(), controller: None };
    // SAFETY: no driver is started or stopped while the protocol is open, so it cannot go away.
    unsafe { boot::open_protocol::<P>(params, OpenProtocolAttributes::GetProtocol) }.ok()
}
