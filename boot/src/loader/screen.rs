//! The framebuffer that the firmware's console uses.

use aios_abi::boot::{Framebuffer, pixel_format};
use uefi::boot::{self, OpenProtocolAttributes, OpenProtocolParams};
use uefi::proto::console::gop::{GraphicsOutput, PixelFormat};

/// Describes the current mode; all zero when there is no screen, or one without a linear framebuffer of four-byte pixels.
pub fn framebuffer() -> Framebuffer {
    let Ok(handle) = boot::get_handle_for_protocol::<GraphicsOutput>() else { return Framebuffer::default() };
    let params = OpenProtocolParams { handle, agent: boot::image_handle(), controller: None };
    // SAFETY: the protocol is only asked for its mode and dropped before boot services end. An exclusive open would
    // disconnect the console driver and with it the error messages.
    let gop = unsafe { boot::open_protocol::<GraphicsOutput>(params, OpenProtocolAttributes::GetProtocol) };
    let Ok(mut gop) = gop else { return Framebuffer::default() };
    let mode = gop.current_mode_info();
    let format = match mode.pixel_format() {
        PixelFormat::Rgb => pixel_format::RGBX,
        PixelFormat::Bgr => pixel_format::BGRX,
        PixelFormat::Bitmask | PixelFormat::BltOnly => return Framebuffer::default(),
    };
    let (Ok(width), Ok(height), Ok(stride)) =
        (mode.resolution().0.try_into(), mode.resolution().1.try_into(), (mode.stride() * 4).try_into())
    else {
        return Framebuffer::default();
    };
    let addr = gop.frame_buffer().as_mut_ptr() as u64;
    let framebuffer = Framebuffer { addr, width, height, stride, format };
    if framebuffer.check().is_ok() { framebuffer } else { Framebuffer::default() }
}
