//! Deliberate rarity and deliberate bugs, for the testbed only.
//!
//! A [`Faults`] handle is given to a core at construction. The shipped agent always gets
//! [`Faults::none`], and without the cargo feature `buggify` the handle has no content and both
//! questions are constant `false`, so the compiler removes the branches and their names.
//!
//! * [`planted!`](crate::planted): is the planted bug of this name on? Each is the proof that an
//!   oracle of the testbed works; the list is in `sim-runner`'s `zoo`.
//! * [`maybe!`](crate::maybe): take the rare path here? (FoundationDB's buggify.)

#[cfg(feature = "buggify")]
use std::sync::{Arc, Mutex};

#[cfg(feature = "buggify")]
use crate::base::prng::{Prng, Ratio};

/// Which planted bugs and rare paths are armed.
#[derive(Clone, Default)]
pub struct Faults {
    #[cfg(feature = "buggify")]
    armed: Option<Arc<Armed>>,
}

#[cfg(feature = "buggify")]
struct Armed {
    plant: Option<String>,
    rare_paths: Option<Mutex<Prng>>,
}

impl Faults {
    /// Nothing armed: what ships.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Arms one planted bug, rare paths drawn from `rare_paths`, both, or neither.
    #[cfg(feature = "buggify")]
    #[must_use]
    pub fn armed(plant: Option<&str>, rare_paths: Option<Prng>) -> Self {
        Self {
            armed: Some(Arc::new(Armed {
                plant: plant.map(str::to_owned),
                rare_paths: rare_paths.map(Mutex::new),
            })),
        }
    }

    /// Whether this planted bug is on. Use [`planted!`](crate::planted).
    #[cfg(feature = "buggify")]
    #[must_use]
    pub fn planted(&self, name: &str) -> bool {
        self.armed.as_ref().is_some_and(|armed| armed.plant.as_deref() == Some(name))
    }

    /// Draws for a rare path. Use [`maybe!`](crate::maybe).
    #[cfg(feature = "buggify")]
    #[must_use]
    pub fn maybe(&self, numerator: u64, denominator: u64) -> bool {
        let Some(stream) = self.armed.as_ref().and_then(|armed| armed.rare_paths.as_ref()) else {
            return false;
        };
        match stream.lock() {
            Ok(mut stream) => stream.chance(Ratio::new(numerator, denominator)),
            Err(_) => false,
        }
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

/// `planted!(faults, "name")`: true when that planted bug is armed; constant `false` in what ships.
#[cfg(feature = "buggify")]
#[macro_export]
macro_rules! planted {
    ($faults:expr, $name:literal) => {
        $faults.planted($name)
    };
}

/// `planted!(faults, "name")`: true when that planted bug is armed; constant `false` in what ships.
#[cfg(not(feature = "buggify"))]
#[macro_export]
macro_rules! planted {
    ($faults:expr, $name:literal) => {{
        let _ = &$faults;
        false
    }};
}

/// `maybe!(faults, 1, 20)`: take the rare path, one time in twenty in a simulation with rare paths
/// on; constant `false` in what ships.
#[cfg(feature = "buggify")]
#[macro_export]
macro_rules! maybe {
    ($faults:expr, $numerator:literal, $denominator:literal) => {
        $faults.maybe($numerator, $denominator)
    };
}

/// `maybe!(faults, 1, 20)`: take the rare path, one time in twenty in a simulation with rare paths
/// on; constant `false` in what ships.
#[cfg(not(feature = "buggify"))]
#[macro_export]
macro_rules! maybe {
    ($faults:expr, $numerator:literal, $denominator:literal) => {{
        let _ = &$faults;
        false
    }};
}
