//! Regular expressions in expectations. One takes time by its size and by the
//! text's, so both are bounded, and their product: what is small may go through
//! much, what is large through little.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr},
};

use super::{
    ExpectError,
    vet::{bound, in_loops, literal_text, walk},
};

/// One may take so many bytes of memory: it is made for each answer.
const MAX: usize = 256 * 1024;
/// And so many where it is made for each item of a list.
const MAX_IN_LOOP: usize = 16 * 1024;
/// Its size times that of the text. At worst that takes a second; all but the
/// worst take less than a hundredth of it.
const MAX_COST: usize = 1 << 30;

/// How large the regular expressions of an expectation are together.
///
/// # Errors
/// When one is none, is too large, or may go through more than is known to be
/// bounded.
pub(super) fn weigh(expr: &IdedExpr) -> Result<usize, ExpectError> {
    let items = bound(expr);
    let mut all = Vec::new();
    walk(expr, &mut |part| all.extend(matching(part)));
    let mut in_loop = Vec::new();
    in_loops(expr, &mut |part| in_loop.extend(matching(part)));
    for call in in_loop {
        judge(call, Some(&items))?;
        size(call, MAX_IN_LOOP)?;
    }
    let mut weight = 0;
    for call in all {
        judge(call, None)?;
        weight += size(call, MAX)?;
    }
    Ok(weight)
}

/// How much text may be gone through.
pub(super) fn room(weight: usize) -> usize {
    MAX_COST.checked_div(weight).unwrap_or(usize::MAX)
}

fn matching(expr: &IdedExpr) -> Option<&CallExpr> {
    if let Expr::Call(call) = &expr.expr
        && call.func_name == "matches"
    {
        return Some(call);
    }
    None
}

/// The text that is matched: `text.matches("…")`, or `matches(text, "…")`.
fn looked_at(call: &CallExpr) -> Option<&IdedExpr> {
    call.target.as_deref().or_else(|| call.args.first())
}

/// The text is one that the target sent, as it is, so that its size is known;
/// within a loop, that of the item, or it would be gone through for each.
fn judge(call: &CallExpr, items: Option<&[&str]>) -> Result<(), ExpectError> {
    let Some(text) = looked_at(call) else {
        return Ok(());
    };
    let (mut made, mut beside) = (false, false);
    walk(text, &mut |part| {
        if let Expr::Call(call) = &part.expr {
            made |= !["_[_]", "string"].contains(&call.func_name.as_str());
        } else if let Expr::Ident(name) = &part.expr {
            beside |= items.is_some_and(|items| !items.contains(&name.as_str()));
        }
    });
    if made {
        return Err(ExpectError::new(
            "`matches` goes through a text as it was sent, not one that is put together",
        )
        .hint("use it on each part: `body.a.matches(\"…\") && body.b.matches(\"…\")`"));
    }
    if beside {
        return Err(ExpectError::new(
            "within `all`, `exists`, `map` or `filter`, `matches` goes through the item alone",
        )
        .hint("all else would be gone through for each item; use two expectations"));
    }
    Ok(())
}

/// The size of the regular expression, to a power of two.
fn size(call: &CallExpr, max: usize) -> Result<usize, ExpectError> {
    let Some(text) = call.args.last().and_then(literal_text) else {
        return Err(
            ExpectError::new("`matches` takes its regular expression as text in quotes")
                .hint("one that the target sends could take for ever"),
        );
    };
    // The smallest have a place in the cost, too.
    let mut size = 512;
    loop {
        match regex::RegexBuilder::new(text).size_limit(size).build() {
            Ok(_) => return Ok(size),
            Err(regex::Error::CompiledTooBig(_)) if size < max => size *= 2,
            Err(regex::Error::CompiledTooBig(_)) => return Err(too_large(text, max)),
            Err(_) => {
                return Err(
                    ExpectError::new(format!("{text:?} is no regular expression"))
                        .hint("in CEL text, a backslash is written twice, or r\"…\" is used"),
                );
            }
        }
    }
}

fn too_large(text: &str, max: usize) -> ExpectError {
    let where_ = if max < MAX {
        " for each item of a list"
    } else {
        ""
    };
    ExpectError::new(format!(
        "{text:?} is too large a regular expression{where_}"
    ))
    .hint(
        "`{1,1000}` repeats what is before it; `\\\\w` and `\\\\d` mean those of every script, \
         `[0-9]` ten digits",
    )
}
