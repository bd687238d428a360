//! `[disk]` and `[clock]`: how the machines of all nodes are (language section 3).

use super::fault::{ClockPlan, DiskPlan};
use super::reader::Reader;
use super::tree::Table;
use super::words;

/// `[disk]`.
pub fn disk(reader: &mut Reader, root: &Table) -> DiskPlan {
    let mut plan = DiskPlan::default();
    if let Some(table) = root.get("disk").and_then(|item| reader.table(item, "[disk]")) {
        reader.keys(table, "[disk]", words::DISK_TABLE);
        for (key, span) in
            [("fsync", &mut plan.fsync), ("read", &mut plan.read), ("write", &mut plan.write)]
        {
            if let Some(found) =
                table.get(key).and_then(|item| reader.span(item, &format!("`{key}`")))
            {
                *span = found;
            }
        }
        if let Some(item) = table.get("capacity") {
            plan.capacity = reader.size(item, "`capacity`");
        }
    }
    plan
}

/// `[clock]`.
pub fn clock(reader: &mut Reader, root: &Table) -> ClockPlan {
    let mut plan = ClockPlan::default();
    if let Some(table) = root.get("clock").and_then(|item| reader.table(item, "[clock]")) {
        reader.keys(table, "[clock]", words::CLOCK);
        if let Some(span) =
            table.get("skew").and_then(|item| reader.signed_duration(item, "`skew`"))
        {
            plan.skew_ns = span;
        }
        if let Some(span) = table.get("drift").and_then(|item| reader.drift(item, "`drift`")) {
            plan.drift_ppm = span;
        }
    }
    plan
}
