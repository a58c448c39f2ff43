use std::collections::HashSet;

use model::{SopInstanceUid, UpstreamName};

use super::gap::Source;
use super::listing::Held;
use crate::{Error, Pipeline};

/// What an upstream archive has and could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// Where it is.
    pub upstream: UpstreamName,
    /// How many instances, at least one.
    pub instances: u64,
    /// Some of them.
    pub uids: Vec<SopInstanceUid>,
    /// Why, in words without patient data.
    pub reason: String,
}

/// A shortfall of one study, which may be that of another archive as well.
pub(super) struct Short<'a> {
    pub(super) source: Source<'a>,
    /// What is missing, or some of it is.
    pub(super) lacking: Vec<Held>,
    pub(super) shortfall: Shortfall,
    /// Whether the shortfall has the UID of every instance.
    pub(super) are_all_named: bool,
}

/// The shortfalls of several archives of one study, such that what is missing counts once.
///
/// Which of it is the same, UIDs tell; an archive that is short of more than it says the UIDs of counts for what is beyond the others.
///
/// # Errors
/// [`Error::Archive`] when the index cannot be read.
pub(super) async fn united(mut all: Vec<Short<'_>>) -> Result<Vec<Shortfall>, Error> {
    if all.len() > 1 {
        for short in &mut all {
            short.name_all().await?;
        }
    }
    let shortfalls = all.into_iter().map(|short| (short.shortfall, short.are_all_named)).collect();
    let united = once(shortfalls);
    for Shortfall { upstream, instances, reason, .. } in &united {
        tracing::warn!(%upstream, instances, reason, "instances could not be fetched from an upstream archive");
    }
    Ok(united)
}

impl Short<'_> {
    /// Has the archive say which instances it has, unless it does not answer.
    async fn name_all(&mut self) -> Result<(), Error> {
        if self.are_all_named {
            return Ok(());
        }
        let Some(instances) = self.source.instances_of(&self.lacking).await else { return Ok(()) };
        let pipeline: &Pipeline = self.source.pipeline;
        let lacking = pipeline.unknown(instances).await?;
        if !lacking.is_empty() {
            self.shortfall.uids = lacking.into_iter().filter_map(|held| held.scope.instance).collect();
            self.shortfall.instances = self.shortfall.uids.len() as u64;
            self.are_all_named = true;
        }
        Ok(())
    }
}

/// Those with all UIDs first.
fn once(shortfalls: Vec<(Shortfall, bool)>) -> Vec<Shortfall> {
    let (named, counted): (Vec<_>, Vec<_>) =
        shortfalls.into_iter().partition(|(_, are_all_named)| *are_all_named);
    let (mut united, mut seen, mut total) = (Vec::new(), HashSet::new(), 0);
    for (mut shortfall, are_all_named) in named.into_iter().chain(counted) {
        shortfall.uids.retain(|uid| seen.insert(uid.clone()));
        shortfall.instances = match are_all_named {
            true => shortfall.uids.len() as u64,
            false => shortfall.instances.saturating_sub(total),
        };
        total += shortfall.instances;
        shortfall.uids.truncate(usize::try_from(shortfall.instances).unwrap_or(usize::MAX));
        united.extend((shortfall.instances > 0).then_some(shortfall));
    }
    united
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortfall(upstream: &str, instances: u64, uids: &[&str]) -> (Shortfall, bool) {
        let are_all_named = instances == uids.len() as u64;
        let uids = uids.iter().filter_map(|uid| SopInstanceUid::lenient(uid)).collect();
        let (upstream, reason) = (UpstreamName::new(upstream), "it did not".to_owned());
        (Shortfall { upstream, instances, uids, reason }, are_all_named)
    }

    /// Of each archive its name, how many are missing, and how many of these are named.
    fn told(shortfalls: Vec<(Shortfall, bool)>) -> Vec<(String, u64, usize)> {
        let told = |one: Shortfall| (one.upstream.to_string(), one.instances, one.uids.len());
        once(shortfalls).into_iter().map(told).collect()
    }

    #[test]
    fn what_several_lack_counts_once_and_what_each_lacks_is_added() {
        let of = |name: &str, instances, uids| (name.to_owned(), instances, uids);
        let (a, b) = (shortfall("a", 2, &["1.1", "1.2"]), shortfall("b", 2, &["1.2", "1.3"]));
        assert_eq!(told(vec![a.clone(), b.clone()]), [of("a", 2, 2), of("b", 1, 1)]);
        assert_eq!(told(vec![a.clone(), a.clone()]), [of("a", 2, 2)]);
        // One that only counts is taken for the same as far as that may be.
        let counted = |instances| shortfall("c", instances, &["1.1"]);
        assert_eq!(told(vec![counted(3), a.clone()]), [of("a", 2, 2), of("c", 1, 0)]);
        assert_eq!(told(vec![counted(2), a, b]), [of("a", 2, 2), of("b", 1, 1)]);
        assert_eq!(told(vec![counted(3), shortfall("d", 5, &[])]), [of("c", 3, 1), of("d", 2, 0)]);
        assert_eq!(told(Vec::new()), []);
    }
}
