use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            /// A name as it is written.
            pub fn new(name: &str) -> Self {
                Self(name.into())
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a peer in the configuration.
    PeerName
}
name! {
    /// The name of a destination in the configuration.
    DestinationName
}
name! {
    /// The name of an upstream archive in the configuration.
    UpstreamName
}
name! {
    /// The name of a rule in its file.
    RuleName
}
