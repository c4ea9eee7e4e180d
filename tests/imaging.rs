//! Small pictures: what comes out of every format, and that no file can ask for much memory.

mod imaging {
    mod bombs;
    mod looking;
    mod samples;
    mod shrinking;
}
