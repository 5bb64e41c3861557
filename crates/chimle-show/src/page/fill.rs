//! Filling of a template's slots, `{{name}}`, in one pass. Inserted values are not searched for
//! further slots.

/// Replaces each `{{name}}` in `template` by the value of that name. A slot without a value stays as
/// it is.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        let (before, slot) = rest.split_at(start);
        filled.push_str(before);
        let value = slot.find("}}").and_then(|end| {
            values
                .iter()
                .find(|(name, _)| *name == &slot[2..end])
                .map(|(_, value)| (*value, end + 2))
        });
        let (value, length) = value.unwrap_or(("{{", 2));
        filled.push_str(value);
        rest = &slot[length..];
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_a_slot_is_not_searched_for_slots() {
        let values = [("a", "{{b}}"), ("b", "two")];
        assert_eq!(fill("<{{a}} {{b}}>", &values), "<{{b}} two>");
        assert_eq!(fill("{{c}} {{a", &values), "{{c}} {{a");
        assert_eq!(fill("", &values), "");
    }
}
