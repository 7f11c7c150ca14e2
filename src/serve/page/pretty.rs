//! JSON with line breaks, and nothing else changed: no number is rounded, no
//! key moved.

/// Indents `json`.
pub fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    let mut chars = json.chars().filter(|c| !c.is_ascii_control()).peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' => {}
            '"' => {
                in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                if chars.peek().is_none_or(|next| !matches!(next, '}' | ']')) {
                    depth += 1;
                    line(&mut out, depth);
                } else {
                    out.extend(chars.next());
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_space_is_added() {
        let json =
            r#"{"z":1.10,"a":[ ],"t":"a, {b}: \" \\","n":{"x":[1,12345678901234567890.10]}}"#;
        let expected = "{\n  \"z\": 1.10,\n  \"a\": [],\n  \"t\": \"a, {b}: \\\" \\\\\",\n  \"n\": {\n    \"x\": [\n      1,\n      12345678901234567890.10\n    ]\n  }\n}";
        assert_eq!(pretty(json), expected);
    }
}
