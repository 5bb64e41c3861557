//! The files of the page, which are compiled into the program.

/// The page itself. `{token}` stands for the token of the request.
pub(crate) const HTML: &str = include_str!("page/index.html");
/// Its style.
pub(crate) const STYLE: &str = include_str!("page/studio.css");
/// Its script: all files, joined in their order.
pub(crate) const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("page/api.js"),
    include_str!("page/state.js"),
    include_str!("page/stage.js"),
    include_str!("page/tree.js"),
    include_str!("page/actions.js"),
    include_str!("page/main.js"),
);
/// Its icon.
pub(crate) const ICON: &str = include_str!("page/icon.svg");
