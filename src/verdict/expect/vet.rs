//! Vetting an expectation at load: syntax, names, cost, literals.

use cel::{
    IdedExpr, ParseErrors, Program, Value,
    common::ast::{EntryExpr, Expr, LiteralValue},
};

use super::{
    ExpectError, language,
    scope::{FIELDS, VARIABLES},
    wanted::path,
};
use crate::near::nearest;

/// Functions and operators that an expectation may call.
const FUNCTIONS: [&str; 44] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "_[_]",
    "@in",
    "@not_strictly_false",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "duration",
    "timestamp",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "type",
    "dyn",
    "getSeconds",
    "getMinutes",
    "getHours",
    "getMilliseconds",
];

/// A syntax error, placed.
pub(super) fn syntax(text: &str, errors: &ParseErrors) -> ExpectError {
    let Some(first) = errors.errors.first() else {
        return ExpectError::new("the expectation is not CEL");
    };
    let (line, column) = first.pos;
    let span = usize::try_from(line)
        .ok()
        .zip(usize::try_from(column).ok())
        .and_then(|(line, column)| {
            let before: usize = text
                .split_inclusive('\n')
                .take(line.saturating_sub(1))
                .map(str::len)
                .sum();
            let at = (before + column.saturating_sub(1)).min(text.len());
            text.is_char_boundary(at).then_some(at..at + 1)
        });
    let said = first.msg.lines().next().unwrap_or_default();
    let error = ExpectError::new(format!("the expectation is not CEL: {}", lower(said)));
    ExpectError { span, ..error }
        .hint("`status == 200 && body.status == \"UP\"` is well formed; `and`, `or`, `=` are `&&`, `||`, `==`")
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

/// The variables named, all of them known.
pub(super) fn references(program: &Program) -> Result<Vec<&'static str>, ExpectError> {
    let references = program.references();
    let mut functions = references.functions();
    functions.sort_unstable();
    for function in functions {
        if !FUNCTIONS.contains(&function) {
            return Err(ExpectError::new(format!("there is no function `{function}`")).hint(
                "there are `size`, `contains`, `startsWith`, `endsWith`, `matches`, `has`, `all`, \
                 `exists`, `exists_one`, `map`, `filter`, `duration` and conversions",
            ));
        }
    }
    let bound = bound(program.expression());
    if let Some(name) = bound.iter().find(|name| VARIABLES.contains(name)) {
        return Err(
            ExpectError::new(format!("an item is called `{name}`, which is a variable"))
                .hint("call it otherwise: `body.items.all(item, item.ok)`"),
        );
    }
    let mut variables = references.variables();
    variables.sort_unstable();
    let mut known = Vec::new();
    for variable in variables {
        match VARIABLES.iter().find(|name| **name == variable) {
            Some(name) => known.push(*name),
            None if bound.contains(&variable) => {}
            None => {
                let hint = match nearest(variable, VARIABLES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are `{}`", VARIABLES.join("`, `")),
                };
                return Err(
                    ExpectError::new(format!("there is no variable `{variable}`")).hint(hint),
                );
            }
        }
    }
    Ok(known)
}

/// Looks at what is asked of variables whose fields are known.
pub(super) fn fields(expr: &IdedExpr) -> Result<(), ExpectError> {
    let mut wrong = None;
    walk(expr, &mut |part| {
        let Some((root, keys)) = path(part) else {
            return;
        };
        let known = FIELDS.iter().find(|(variable, _)| *variable == root);
        if let (Some((_, known)), Some(key)) = (known, keys.first())
            && !known.contains(key)
        {
            let hint = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{root}.{near}`?"),
                None => format!("there are `{root}.{}`", known.join(&format!("`, `{root}."))),
            };
            wrong = Some(ExpectError::new(format!("there is no `{root}.{key}`")).hint(hint));
        }
    });
    wrong.map_or(Ok(()), Err)
}

/// Names that comprehensions bind.
pub(super) fn bound(expr: &IdedExpr) -> Vec<&str> {
    let mut names = Vec::new();
    walk(expr, &mut |expr| {
        if let Expr::Comprehension(loop_) = &expr.expr {
            names.push(loop_.iter_var.as_str());
            names.extend(loop_.iter_var2.as_deref());
            names.push(loop_.accu_var.as_str());
        }
    });
    names
}

/// Refuses what costs the square of what the target sends: a comprehension
/// within another, and the whole text for each item.
pub(super) fn cost(expr: &IdedExpr) -> Result<(), ExpectError> {
    let (mut nested, mut text) = (false, false);
    in_loops(expr, &mut |part| {
        nested |= matches!(part.expr, Expr::Comprehension(_));
        text |= matches!(&part.expr, Expr::Ident(name) if name == "text");
    });
    if nested {
        return Err(
            ExpectError::new("`all`, `exists`, `map` and `filter` may not be nested").hint(
                "the target decides how long the lists are, and nesting multiplies them; use two \
             expectations",
            ),
        );
    }
    if text {
        return Err(ExpectError::new(
            "`text` may not be used within `all`, `exists`, `map` or `filter`",
        )
        .hint("it would be gone through for each item; use `body`, or two expectations"));
    }
    Ok(())
}

/// Calls `visit` for everything that is worked out for each item of a list.
pub(super) fn in_loops<'a>(expr: &'a IdedExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    walk(expr, &mut |outer| {
        if let Expr::Comprehension(comprehension) = &outer.expr {
            walk(&comprehension.loop_step, visit);
        }
    });
}

/// Tries the functions that read a literal, so that a bad one is found now.
pub(super) fn literals(expr: &IdedExpr) -> Result<(), ExpectError> {
    let mut wrong = None;
    walk(expr, &mut |part| {
        if wrong.is_none() {
            wrong = literal(part).err();
        }
    });
    wrong.map_or(Ok(()), Err)
}

fn literal(expr: &IdedExpr) -> Result<(), ExpectError> {
    let Expr::Call(call) = &expr.expr else {
        return Ok(());
    };
    let literal = call.args.last().and_then(literal_text);
    match (call.func_name.as_str(), literal) {
        ("duration" | "timestamp", Some(text)) if call.target.is_none() => {
            Value::resolve(expr, &language()).map(drop).map_err(|_| {
                ExpectError::new(format!("{text:?} is no {}", call.func_name)).hint(
                    "write `duration(\"300ms\")`, `duration(\"1h30m\")`, \
                     `timestamp(\"2026-01-31T00:00:00Z\")`",
                )
            })
        }
        _ => Ok(()),
    }
}

pub(super) fn literal_text(expr: &IdedExpr) -> Option<&str> {
    if let Expr::Literal(LiteralValue::String(text)) = &expr.expr {
        return Some(text.inner());
    }
    None
}

/// Calls `visit` for `expr` and everything within it.
pub(super) fn walk<'a>(expr: &'a IdedExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    visit(expr);
    let mut within = Vec::new();
    parts(expr, &mut |part| within.push(part));
    for part in within {
        walk(part, visit);
    }
}

/// Calls `visit` for what is right within `expr`.
pub(super) fn parts<'a>(expr: &'a IdedExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    match &expr.expr {
        Expr::Call(call) => {
            call.target
                .iter()
                .map(AsRef::as_ref)
                .chain(&call.args)
                .for_each(visit);
        }
        Expr::Comprehension(loop_) => {
            [
                &loop_.iter_range,
                &loop_.accu_init,
                &loop_.loop_cond,
                &loop_.loop_step,
                &loop_.result,
            ]
            .into_iter()
            .for_each(visit);
        }
        Expr::List(list) => list.elements.iter().for_each(visit),
        Expr::Map(map) => map
            .entries
            .iter()
            .for_each(|entry| entry_parts(&entry.expr, visit)),
        Expr::Struct(fields) => fields
            .entries
            .iter()
            .for_each(|entry| entry_parts(&entry.expr, visit)),
        Expr::Select(select) => visit(&select.operand),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn entry_parts<'a>(entry: &'a EntryExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => visit(&field.value),
        EntryExpr::MapEntry(entry) => {
            visit(&entry.key);
            visit(&entry.value);
        }
    }
}
