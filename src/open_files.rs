//! The limit of open files: sockets count against it, and a server that runs into it can neither accept nor store.

use std::num::NonZeroUsize;

use model::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Raises the process' limit of open files to what the system allows, and warns when that is less than the configured associations
/// and the connections of both doors can need.
pub(crate) fn raise_limit(max_associations: usize, move_associations: NonZeroUsize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        warn!("the limit of open files could not be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current.or(current);
    let wanted = wanted(max_associations, move_associations.get());
    if allowed.is_some_and(|allowed| allowed < wanted) {
        warn!(
            allowed,
            wanted, "too few open files are allowed: raise the hard limit (ulimit -Hn, LimitNOFILE)"
        );
    }
}

/// A socket and a file for each association, those of C-MOVEs to their destinations too, and for each HTTP connection, a socket for
/// each connection without an association, and some for the index, the log and the listeners.
fn wanted(max_associations: usize, move_associations: usize) -> u64 {
    let associations = max_associations * (1 + move_associations);
    let files = 2 * associations + 2 * limits::HTTP_CONNECTIONS + limits::UNASSOCIATED_CONNECTIONS + 64;
    files as u64 // lossless: usize has at most 64 bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_the_soft_limit_to_the_hard_one() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum }).unwrap();
        raise_limit(100, NonZeroUsize::MIN);
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
