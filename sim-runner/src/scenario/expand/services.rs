//! The verbs that act on services.

use crate::scenario::model::Action;
use crate::scenario::toml_text::toml_value;

use super::Printer;

impl Printer<'_> {
    pub(super) fn service(&mut self, action: &Action) {
        match action {
            Action::Register { target, service } => {
                self.target("target", target);
                self.line("service", toml_value(service));
            }
            Action::Deregister { target, id } => {
                self.target("target", target);
                self.text("service", id);
            }
            Action::ServiceDown { target, id } | Action::ServiceUp { target, id } => {
                if let Some(target) = target {
                    self.target("target", target);
                }
                self.text("service", id);
            }
            _ => {}
        }
    }
}
