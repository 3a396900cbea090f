//! Where a thread is in the file tree: root, working directory, creation mask, mount table.

use alloc::sync::Arc;

use kernel_fs::{Namespace, Path};
use kernel_sync::SpinLock;

/// What a [`Place`] was at one moment; a path walk uses one view throughout.
#[derive(Clone)]
pub struct View {
    pub namespace: Arc<Namespace>,
    pub root: Path,
    pub cwd: Path,
    /// Permissions that new files do not get.
    pub umask: u16,
}

/// A view that changes; shared by threads that were cloned with `CLONE_FS`.
pub struct Place(SpinLock<Arc<View>>);

impl Place {
    pub fn new(view: View) -> Arc<Place> {
        Arc::new(Place(SpinLock::new(Arc::new(view))))
    }

    pub fn view(&self) -> Arc<View> {
        self.0.lock().clone()
    }

    /// A place of its own with the same view.
    pub fn duplicate(&self) -> Arc<Place> {
        Arc::new(Place(SpinLock::new(self.view())))
    }

    fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let mut view = View::clone(&self.view());
        let value = change(&mut view);
        // The old view is dropped with no lock held: it may be the last use of a path.
        let old = core::mem::replace(&mut *self.0.lock(), Arc::new(view));
        drop(old);
        value
    }

    pub fn set_cwd(&self, cwd: Path) {
        self.change(|view| view.cwd = cwd);
    }

    pub fn set_root(&self, root: Path) {
        self.change(|view| view.root = root);
    }

    /// Sets the creation mask and returns the one before.
    pub fn set_umask(&self, umask: u16) -> u16 {
        self.change(|view| core::mem::replace(&mut view.umask, umask & 0o777))
    }
}
