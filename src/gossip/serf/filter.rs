//! Whom a query is for (spec cluster 2.14): all its filters must let a member pass.
//!
//! Tag filters are Go's regular expressions, RE2, unanchored; the crate `regex` reads the same language
//! and, like RE2, in linear time, but `\d` and `\w` know all of Unicode. An expression that cannot be
//! read, or is too large, matches nobody.

use regex::RegexBuilder;

use crate::base::NodeName;
use crate::gossip::message::{QueryFilter, Tags};

/// A compiled expression takes so many bytes at most: it comes from anybody.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Whether a member with this name and these tags is asked; the text for the log when a filter makes no
/// sense.
pub(super) fn passes(
    filters: &[QueryFilter],
    name: &NodeName,
    tags: &Tags,
) -> Result<bool, String> {
    for filter in filters {
        let passes = match filter {
            QueryFilter::Nodes(nodes) => nodes.contains(name),
            QueryFilter::Tag { tag, expression } => {
                // A tag that is not there counts as empty, which an expression may match.
                let value = tags.get(tag).unwrap_or_default();
                let regex = RegexBuilder::new(expression).size_limit(COMPILED_BYTES_MAX).build();
                regex
                    .map_err(|_| format!("failed to compile filter regex ({expression})"))?
                    .is_match(value)
            }
            QueryFilter::Unknown(bytes) => {
                let kind = bytes.first().copied().unwrap_or_default();
                return Err(format!("query has unrecognized filter type: {kind}"));
            }
        };
        if !passes {
            return Ok(false);
        }
    }
    Ok(true)
}
