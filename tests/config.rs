//! The configuration: what is accepted, what is refused and in which words, and that nothing secret is ever shown.

mod config {
    mod environment;
    mod files;
    mod refusals;
    mod registration;
    mod secrets;
}
