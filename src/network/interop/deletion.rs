//! The request that ends an enlistment: `<iq type="set" xmlns="w:interop"><delete/></iq>`, namespace and element from the
//! profile, as no public document gives them.

use super::{context::Context, wire::Node};

/// The request.
pub(super) fn request(context: &Context) -> Node {
    let shape = &context.profile.stanzas.deletion;
    Node::new("iq")
        .with("type", "set")
        .with("xmlns", shape.xmlns.clone())
        .with("to", context.server())
        .child(Node::new(shape.element.clone()))
}
