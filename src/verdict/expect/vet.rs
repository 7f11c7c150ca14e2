//! Vetting an expectation at load: syntax, names, cost, literals.

use cel::{
    Context, IdedExpr, ParseErrors, Program, Value,
    common::ast::{EntryExpr, Expr},
};

use super::{ExpectError, scope::VARIABLES};

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
    let mut variables = references.variables();
    variables.sort_unstable();
    let mut known = Vec::new();
    for variable in variables {
        match VARIABLES.iter().find(|name| **name == variable) {
            Some(name) => known.push(*name),
            None if bound.contains(&variable) => {}
            None => {
                return Err(
                    ExpectError::new(format!("there is no variable `{variable}`"))
                        .hint(format!("there are `{}`", VARIABLES.join("`, `"))),
                );
            }
        }
    }
    Ok(known)
}

/// Names that comprehensions bind.
fn bound(expr: &IdedExpr) -> Vec<&str> {
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

/// Refuses a comprehension within another: its cost is the square of a list
/// that the target sends.
pub(super) fn cost(expr: &IdedExpr) -> Result<(), ExpectError> {
    let mut nested = false;
    walk(expr, &mut |outer| {
        if matches!(outer.expr, Expr::Comprehension(_)) {
            walk(outer, &mut |inner| {
                nested |=
                    !std::ptr::eq(inner, outer) && matches!(inner.expr, Expr::Comprehension(_));
            });
        }
    });
    if nested {
        return Err(
            ExpectError::new("`all`, `exists`, `map` and `filter` may not be nested").hint(
                "the target decides how long the lists are, and nesting multiplies them; use two \
             expectations",
            ),
        );
    }
    Ok(())
}

/// Tries the functions that read a literal, so that a bad one is found now.
pub(super) fn literals(expr: &IdedExpr) -> Result<(), ExpectError> {
    let mut wrong = None;
    walk(expr, &mut |expr| {
        let Expr::Call(call) = &expr.expr else { return };
        let literal = call
            .args
            .first()
            .filter(|arg| matches!(arg.expr, Expr::Literal(_)));
        let Some(literal) = literal.filter(|_| wrong.is_none()) else {
            return;
        };
        let context = Context::default();
        let Ok(Value::String(text)) = Value::resolve(literal, &context) else {
            return;
        };
        match (call.func_name.as_str(), &call.target) {
            ("duration" | "timestamp", None) if Value::resolve(expr, &context).is_err() => {
                wrong = Some(
                    ExpectError::new(format!("{text:?} is no {}", call.func_name)).hint(
                        "write `duration(\"300ms\")`, `duration(\"1h30m\")`, \
                         `timestamp(\"2026-01-31T00:00:00Z\")`",
                    ),
                );
            }
            ("matches", Some(_)) => {
                let tried = Program::compile(&format!("\"\".matches({:?})", text.as_str()));
                if tried.is_ok_and(|tried| tried.execute(&context).is_err()) {
                    wrong = Some(
                        ExpectError::new(format!("{text:?} is no regular expression"))
                            .hint("in CEL text, a backslash is written twice, or r\"…\" is used"),
                    );
                }
            }
            _ => {}
        }
    });
    wrong.map_or(Ok(()), Err)
}

/// Calls `visit` for `expr` and everything within it.
fn walk<'a>(expr: &'a IdedExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    visit(expr);
    match &expr.expr {
        Expr::Call(call) => {
            call.target
                .iter()
                .map(AsRef::as_ref)
                .chain(&call.args)
                .for_each(|part| walk(part, visit));
        }
        Expr::Comprehension(loop_) => {
            for part in [
                &loop_.iter_range,
                &loop_.accu_init,
                &loop_.loop_cond,
                &loop_.loop_step,
                &loop_.result,
            ] {
                walk(part, visit);
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|part| walk(part, visit)),
        Expr::Map(map) => map
            .entries
            .iter()
            .for_each(|entry| walk_entry(&entry.expr, visit)),
        Expr::Struct(fields) => fields
            .entries
            .iter()
            .for_each(|entry| walk_entry(&entry.expr, visit)),
        Expr::Select(select) => walk(&select.operand, visit),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}

fn walk_entry<'a>(entry: &'a EntryExpr, visit: &mut impl FnMut(&'a IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => walk(&field.value, visit),
        EntryExpr::MapEntry(entry) => {
            walk(&entry.key, visit);
            walk(&entry.value, visit);
        }
    }
}
