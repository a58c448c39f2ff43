#![deny(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::accept::Accept;
use super::made_frames::respond;
use super::paths;
use super::rendition::instance;
use super::target::Target;
use crate::app::App;
use crate::problem::Problem;

/// Single frames of an instance (PS3.18 §10.4.1.1.6).
pub(super) fn routes() -> Router<App> {
    Router::new().route(paths::FRAMES, get(frames))
}

async fn frames(State(app): State<App>, target: Target, accept: Accept) -> Result<Response, Problem> {
    let numbers = frame_list(&target.rest)?;
    let instance = instance(&app, target).await?;
    let rendition = app.pipeline.frames(&instance, &numbers).await?;
    let locations = {
        let url = app.urls().of(&instance.ids);
        numbers.iter().map(|number| format!("{url}/frames/{number}")).collect()
    };
    respond(&app, instance, (rendition, numbers), locations, &accept).await
}

/// Reads a list of frame numbers, which count from 1.
///
/// # Errors
/// 400 when it is not such a list.
fn frame_list(list: &str) -> Result<Vec<u32>, Problem> {
    list.split(',')
        .map(|number| {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            // No object has more frames than a u32 counts; a greater number is well-formed and finds nothing.
            let number = is_number.then(|| number.parse().unwrap_or(u32::MAX)).filter(|number| *number > 0);
            number.ok_or_else(|| Problem::bad_request("frames are a comma-separated list of numbers from 1"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_numbers_from_one() {
        assert_eq!(frame_list("1"), Ok(vec![1]));
        assert_eq!(frame_list("3,1,2,1"), Ok(vec![3, 1, 2, 1]));
        assert_eq!(frame_list("99999999999"), Ok(vec![u32::MAX]));
        for bad in ["", "0", "1,", ",1", "a", "1,0", "-1", "+1", "1 ", "1-3", "\u{661}"] {
            assert!(frame_list(bad).is_err(), "{bad}");
        }
    }
}
