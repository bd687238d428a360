//! The way into a simulation: a fresh thread, madsim's executor, and no panic out of it.
//!
//! A fresh thread because std's hash keys, and madsim's context, are per thread: a second simulation
//! on a used thread would see other keys. madsim logs through `tracing` only, so without a subscriber
//! it is silent.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::thread;

/// Enough for deep recursion of scenario code in unoptimised builds; only touched pages cost memory.
const STACK_BYTES: usize = 16 * 1024 * 1024;

thread_local! {
    static SIMULATING: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The simulation itself failed: the testbed's own future panicked, or nothing can ever happen again.
/// (A panic of a simulated process is not one: see [`Ended::Panicked`](super::Ended).)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crashed(pub String);

/// Runs a future on madsim's executor and virtual clock, in a thread of its own. `scheduler_seed`
/// decides which ready task runs next, and nothing else.
///
/// # Errors
/// The text and place of the panic that ended it.
pub fn simulate<T, F>(scheduler_seed: u64, main: impl FnOnce() -> F + Send) -> Result<T, Crashed>
where
    T: Send,
    F: Future<Output = T>,
{
    static HOOK: Once = Once::new();
    HOOK.call_once(keep_panics_of_simulations);
    let in_thread = move || {
        SIMULATING.set(true);
        catch_unwind(AssertUnwindSafe(|| {
            let config = madsim::Config::default();
            madsim::runtime::Runtime::with_seed_and_config(scheduler_seed, config).block_on(main())
        }))
        .map_err(|payload| Crashed(panic_text(&*payload)))
    };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("simulation".to_owned()).stack_size(STACK_BYTES);
        match builder.spawn_scoped(scope, in_thread) {
            Ok(thread) => {
                thread.join().unwrap_or_else(|payload| Err(Crashed(panic_text(&*payload))))
            }
            Err(error) => Err(Crashed(format!("no thread for the simulation: {error}"))),
        }
    })
}

/// Panics on a simulation's thread are reported by the testbed, with their place; those of other
/// threads go on to whoever reported them before.
fn keep_panics_of_simulations() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if SIMULATING.get() {
            LAST_PANIC.set(Some(text_and_place(info)));
        } else {
            previous(info);
        }
    }));
}

fn text_and_place(info: &panic::PanicHookInfo<'_>) -> String {
    let text = payload_text(info.payload());
    info.location().map_or(text.clone(), |place| format!("{text}, at {place}"))
}

/// The text of a caught panic, with its place when this thread just saw it happen.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    LAST_PANIC.take().unwrap_or_else(|| payload_text(payload))
}

fn payload_text(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without text").to_owned()
}
