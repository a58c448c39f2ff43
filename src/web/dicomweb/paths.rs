//! The paths of the resources (PS3.18 §10.2).

macro_rules! paths {
    ($($name:ident = $path:literal;)*) => {
        $(pub(super) const $name: &str = concat!("/dicom-web", $path);)*
        /// All of them.
        pub(crate) const ALL: &[&str] = &[$($name),*];
    };
}

paths! {
    STUDIES = "/studies";
    STUDY = "/studies/{study}";
    STUDY_METADATA = "/studies/{study}/metadata";
    STUDY_SERIES = "/studies/{study}/series";
    STUDY_INSTANCES = "/studies/{study}/instances";
    ALL_SERIES = "/series";
    ONE_SERIES = "/studies/{study}/series/{series}";
    SERIES_METADATA = "/studies/{study}/series/{series}/metadata";
    SERIES_INSTANCES = "/studies/{study}/series/{series}/instances";
    ALL_INSTANCES = "/instances";
    INSTANCE = "/studies/{study}/series/{series}/instances/{instance}";
    INSTANCE_METADATA = "/studies/{study}/series/{series}/instances/{instance}/metadata";
    FRAMES = "/studies/{study}/series/{series}/instances/{instance}/frames/{rest}";
    BULKDATA = "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{*rest}";
}

/// What stands for every path below that is no resource.
pub(super) const NO_RESOURCE: [&str; 3] = ["/dicom-web", "/dicom-web/", "/dicom-web/{*rest}"];
