//! Finds the UEFI firmware for QEMU.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::with_path;
use crate::packages::{self, Need};

/// Code and variables, where distributions put them: Debian, Fedora, Arch. The first that exists is taken.
const PLACES: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
];

const DEBIAN: &[Need] = &[Need { file: "/usr/share/OVMF/OVMF_CODE_4M.fd", package: "ovmf" }];

/// The firmware's two flash images.
pub struct Ovmf {
    code: PathBuf,
    variables: PathBuf,
}

impl Ovmf {
    /// Looks for the firmware, and installs Debian's if there is none.
    ///
    /// # Errors
    /// When there is none and it cannot be installed.
    pub fn find() -> Result<Ovmf> {
        if let Some(found) = Ovmf::installed() {
            return Ok(found);
        }
        packages::ensure(DEBIAN)?;
        let Some(found) = Ovmf::installed() else {
            bail!("the package ovmf is installed but brings no {}", PLACES[0].0);
        };
        Ok(found)
    }

    fn installed() -> Option<Ovmf> {
        let exists = |(code, variables): &&(&str, &str)| Path::new(code).exists() && Path::new(variables).exists();
        let (code, variables) = PLACES.iter().find(exists)?;
        Some(Ovmf { code: code.into(), variables: variables.into() })
    }

    /// QEMU options for the two flash chips. Variables are a snapshot: what one run leaves behind must not steer the next.
    pub fn arguments(&self) -> Vec<OsString> {
        let code = with_path("if=pflash,format=raw,unit=0,readonly=on,file=", &self.code);
        let variables = with_path("if=pflash,format=raw,unit=1,snapshot=on,file=", &self.variables);
        vec!["-drive".into(), code, "-drive".into(), variables]
    }
}
