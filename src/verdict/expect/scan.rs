//! A first look at an expectation's text, before it is parsed: the parser
//! recurses, on a stack that is not endless.

use super::ExpectError;

/// A longer condition is a program, not an expectation.
const MAX_TEXT: usize = 2048;
/// Brackets nest so deep at most.
const MAX_DEPTH: usize = 8;
/// So many operators at most; most of them are two characters.
const MAX_OPERATORS: usize = 40;

/// Refuses what the parser might not survive.
pub(super) fn bounded(cel: &str) -> Result<(), ExpectError> {
    let (mut depth, mut deepest, mut operators) = (0usize, 0, 0);
    for c in Code::of(cel) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '+' | '-' | '*' | '/' | '%' | '!' | '?' | '<' | '>' | '=' | '&' | '|' => operators += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let what = if cel.len() > MAX_TEXT {
        format!("is {} bytes long, more than {MAX_TEXT}", cel.len())
    } else if deepest > MAX_DEPTH {
        format!("nests brackets {deepest} deep, more than {MAX_DEPTH}")
    } else if operators > MAX_OPERATORS * 2 {
        format!("has more than {MAX_OPERATORS} operators")
    } else {
        return Ok(());
    };
    Err(ExpectError::new(format!("the expectation {what}")).hint("split it in several"))
}

/// The characters of a CEL text that are neither in a string nor in a comment.
struct Code<'a> {
    rest: &'a str,
    /// The last three characters, newest first: they tell a raw string.
    before: [char; 3],
}

impl<'a> Code<'a> {
    const fn of(cel: &'a str) -> Self {
        Self {
            rest: cel,
            before: [' '; 3],
        }
    }

    /// Whether a string that begins here is raw: `r"…"`, `br"…"`, `Rb"…"`.
    fn is_raw(&self) -> bool {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        match self.before {
            ['r' | 'R', 'b' | 'B', c] | ['b' | 'B', 'r' | 'R', c] => !word(c),
            ['r' | 'R', c, _] => !word(c),
            _ => false,
        }
    }

    /// Goes past the string that begins with `quote`.
    fn skip_string(&mut self, quote: char) {
        let raw = self.is_raw();
        let triple: String = [quote; 3].iter().collect();
        let end = if self.rest.starts_with(&triple) {
            triple
        } else {
            quote.to_string()
        };
        self.rest = self.rest.get(end.len()..).unwrap_or_default();
        while !self.rest.is_empty() && !self.rest.starts_with(&end) {
            let mut chars = self.rest.chars();
            if chars.next() == Some('\\') && !raw {
                chars.next();
            }
            self.rest = chars.as_str();
        }
        self.rest = self.rest.get(end.len()..).unwrap_or_default();
    }
}

impl Iterator for Code<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = self.rest.get(end..).unwrap_or_default();
                continue;
            }
            let mut chars = self.rest.chars();
            let c = chars.next()?;
            if c == '"' || c == '\'' {
                self.skip_string(c);
                self.before = [' '; 3];
                continue;
            }
            self.rest = chars.as_str();
            let [a, b, _] = self.before;
            self.before = [c, a, b];
            return Some(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_no_code() {
        for (cel, code) in [
            ("a == 'b' + \"c\"", "a ==  + "),
            (r#"a == "\"((" + b"#, "a ==  + b"),
            (r#"a == r"\" + b"#, "a == r + b"),
            (r#"a == br'\' + b"#, "a == br + b"),
            (r#"bar"\"" + b"#, "bar + b"),
            ("'''it's''' + b", " + b"),
            ("a // it's\n + b", "a \n + b"),
            ("'open ((", ""),
            ("r", "r"),
            ("''", ""),
        ] {
            assert_eq!(Code::of(cel).collect::<String>(), code, "{cel}");
        }
    }
}
