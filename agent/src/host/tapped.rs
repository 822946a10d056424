//! `wasmtime` as the bindings see it: what they link passes by the plugin's [`Tap`](crate::observe::Tap).
//!
//! This is the one place that every host call goes through, whatever its interface. With nobody
//! listening it costs a look at an atomic.

pub use wasmtime::*;

/// The part of it that links.
pub mod component {
    pub use wasmtime::component::*;

    use std::any::Any;
    use std::ops::{Deref, DerefMut};
    use std::sync::Arc;

    use serde::Serialize;
    use wasmtime::{Engine, Result, StoreContextMut};

    use crate::host::denied::Denied;
    use crate::observe::{Tap, short_name};
    use crate::sandbox::Guest;

    /// A linker whose functions can be listened to. What is put into the linker that it derefs to cannot.
    pub struct Linker<T: 'static> {
        inner: wasmtime::component::Linker<T>,
        /// Why what is put into it now is denied, if it is.
        refusal: Option<Arc<str>>,
    }

    /// One interface of a [`Linker`].
    pub struct LinkerInstance<'a, T: 'static> {
        inner: wasmtime::component::LinkerInstance<'a, T>,
        interface: String,
        refusal: Option<Arc<str>>,
    }

    impl<T: 'static> Linker<T> {
        /// An empty linker.
        #[must_use]
        pub fn new(engine: &Engine) -> Self {
            Self { inner: wasmtime::component::Linker::new(engine), refusal: None }
        }

        /// The interface of this name, to put functions into.
        ///
        /// # Errors
        /// When something else has this name.
        pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
            let (interface, refusal) = (name.to_owned(), self.refusal.clone());
            Ok(LinkerInstance { inner: self.inner.instance(name)?, interface, refusal })
        }

        /// Puts in what `link` does, but for its functions, which are never called: in their place stands a
        /// refusal.
        ///
        /// # Errors
        /// Those of `link`.
        pub fn denying(&mut self, refusal: &str, link: fn(&mut Self) -> Result<()>) -> Result<()> {
            self.refusal = Some(refusal.into());
            let linked = link(self);
            self.refusal = None;
            linked
        }
    }

    impl<T: 'static> Deref for Linker<T> {
        type Target = wasmtime::component::Linker<T>;

        fn deref(&self) -> &Self::Target {
            &self.inner
        }
    }

    impl<T: 'static> DerefMut for Linker<T> {
        fn deref_mut(&mut self) -> &mut Self::Target {
            &mut self.inner
        }
    }

    impl<T: 'static> LinkerInstance<'_, T> {
        /// Puts a function into the interface.
        ///
        /// # Errors
        /// When something else has this name.
        pub fn func_wrap<F, Params, Return>(&mut self, name: &str, function: F) -> Result<()>
        where
            F: Fn(StoreContextMut<'_, T>, Params) -> Result<Return> + Send + Sync + 'static,
            Params: ComponentNamedList + Lift + Serialize + 'static,
            Return: ComponentNamedList + Lower + Serialize + Denied + 'static,
        {
            match self.refusal.clone() {
                None => self.tapped(name, function),
                Some(refusal) => self.tapped(name, move |_, _: Params| Return::denied(&refusal)),
            }
        }

        fn tapped<F, Params, Return>(&mut self, name: &str, function: F) -> Result<()>
        where
            F: Fn(StoreContextMut<'_, T>, Params) -> Result<Return> + Send + Sync + 'static,
            Params: ComponentNamedList + Lift + Serialize + 'static,
            Return: ComponentNamedList + Lower + Serialize + 'static,
        {
            let full_name: Arc<str> = short_name(&self.interface, name).into();
            self.inner.func_wrap(name, move |caller: StoreContextMut<'_, T>, params: Params| {
                let Some(tap) = listened(caller.data(), &full_name) else { return function(caller, params) };
                let asked = tap.asked(&full_name, &params);
                let answer = function(caller, params);
                asked.answered(&answer);
                answer
            })
        }
    }

    /// The tap of the plugin that calls, if somebody listens to it. Counts and records the call either
    /// way.
    fn listened<T: 'static>(data: &T, function: &Arc<str>) -> Option<Arc<Tap>> {
        let guest = (data as &dyn Any).downcast_ref::<Guest>()?;
        guest.host.record.calls_host(function);
        guest.host.tap.count_host_call();
        guest.host.tap.is_listened_to().then(|| guest.host.tap.clone())
    }
}
