//! Every target over its corpus, and over a bounded number of mutations of it.

use bellhop_fuzz::{Mutator, TARGETS, target};

fn holds(name: &str) {
    let target = target(name).expect("there is such a target");
    let corpus = target.corpus().expect("the corpus can be read");
    assert!(!corpus.is_empty(), "{name} has nothing to begin with");

    for input in &corpus {
        (target.run)(input);
    }
    let mut mutator = Mutator::new(7);
    for _ in 0..target.tries {
        (target.run)(&mutator.make(&corpus));
    }
}

macro_rules! targets {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })+

        #[test]
        fn each_target_is_tested() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),+]);
        }
    };
}

targets!(wire, hgcm, properties, conversions, config, control, admission, device);
