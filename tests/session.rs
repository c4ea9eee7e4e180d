//! The chat session: the machine against a scripted peer in simulated time.

#[path = "session/machine.rs"]
mod machine;
#[path = "session/random.rs"]
mod random;
