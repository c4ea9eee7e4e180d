//! What is done next, by how often it is to be done.

use rand::{RngExt as _, rngs::StdRng};

/// One of several things, each as often as its weight says.
pub(crate) fn pick<A: Copy>(mixture: &[(A, u32)], rng: &mut StdRng) -> A {
    let all = mixture.iter().map(|(_, weight)| weight).sum();
    let mut at = rng.random_range(0..all);
    let mut weighed = mixture.iter();
    let chosen = weighed.find(|(_, weight)| match at.checked_sub(*weight) {
        Some(rest) => {
            at = rest;
            false
        }
        None => true,
    });
    chosen.expect("the weights add up").0
}
