//! Escaping of text for HTML, XML and JSON in a script.

/// Escapes `text` for the content or a quoted attribute of HTML or XML.
///
/// Replaces characters that XML 1.0 does not allow by U+FFFD.
pub(crate) fn markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Escapes JSON for use inside `<script>`. The result has no `<` that could end the element, and no
/// line separator that is forbidden in scripts.
///
/// These characters occur only inside JSON strings, where JSON allows escapes.
pub(crate) fn json_in_script(json: String) -> String {
    const DANGEROUS: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];
    let mut escaped = String::new();
    let mut rest = json.as_str();
    while let Some(start) = rest.find(DANGEROUS) {
        let (before, from) = rest.split_at(start);
        escaped.push_str(before);
        let mut after = from.chars();
        if let Some(character) = after.next() {
            escaped.push_str(&format!("\\u{:04x}", character as u32));
        }
        rest = after.as_str();
    }
    if escaped.is_empty() {
        return json;
    }
    escaped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_leaves_no_character_that_opens_or_closes_anything() {
        assert_eq!(
            markup(r#"<a href="x" id='y'> & z"#),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt; &amp; z"
        );
        assert_eq!(markup("a\u{0}b\u{1b}c\n"), "a\u{fffd}b\u{fffd}c\n");
        assert_eq!(markup("naïve 雪 🎞"), "naïve 雪 🎞");
    }

    #[test]
    fn json_in_a_script_cannot_end_it_and_reads_back_as_it_was() {
        let text = "</script><!-- & \u{2028}\u{2029} \"quoted\" \\ back";
        let escaped = json_in_script(serde_json::to_string(text).expect("a string"));
        assert!(!escaped.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
        assert_eq!(
            serde_json::from_str::<String>(&escaped).expect("JSON"),
            text
        );
    }
}
