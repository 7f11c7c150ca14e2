//! Why an expectation was not met, for a person: not "false", but what was
//! found and what was expected.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the language's kinds, of which few are told apart"
)]

use cel::{
    Context, ExecutionError, IdedExpr, Value,
    common::ast::{CallExpr, ComprehensionExpr, Expr},
};

use super::{
    Scope,
    render::{Loop, kind, render, shown},
    vet::parts,
    wanted::path,
};
use crate::{line::line, near::nearest};

/// So many items of a list are written out.
const MAX_LISTED: usize = 10;

/// Tells why, of one answer.
pub(super) struct Explain<'a> {
    pub(super) scope: &'a Scope<'a>,
}

impl Explain<'_> {
    /// A condition that gave something other than true.
    pub(super) fn unmet(&self, expr: &IdedExpr, context: &Context<'_, '_>) -> String {
        if let Err(error) = Value::resolve(expr, context) {
            return self.failed(expr, &error, context);
        }
        let finding = match &expr.expr {
            Expr::Call(call) => self.unmet_call(call, context),
            Expr::Comprehension(comprehension) => self.unmet_loop(comprehension, context),
            Expr::Select(select) if select.test => {
                let path = format!("{}.{}", render(&select.operand), select.field);
                Some(format!("`{path}` is not there"))
            }
            _ => None,
        };
        finding.unwrap_or_else(|| match Value::resolve(expr, context) {
            Ok(value) => format!("`{}` is {}, expected true", render(expr), shown(&value)),
            Err(_) => format!("`{}` is not true", render(expr)),
        })
    }

    fn unmet_call(&self, call: &CallExpr, context: &Context<'_, '_>) -> Option<String> {
        let is = |expr: &IdedExpr, truth| matches!(Value::resolve(expr, context), Ok(Value::Bool(found)) if found == truth);
        match (call.func_name.as_str(), call.args.as_slice(), &call.target) {
            // The part that does not hold is the one to tell of.
            ("_&&_", [left, right], None) => {
                Some(self.unmet(if is(left, true) { right } else { left }, context))
            }
            ("_||_", [left, right], None) => {
                let (left, right) = (self.unmet(left, context), self.unmet(right, context));
                Some(format!("{left}, and {right}"))
            }
            ("_?_:_", [condition, yes, no], None) => {
                Some(self.unmet(if is(condition, true) { yes } else { no }, context))
            }
            ("!_", [inner], None) => self.negated(inner, context),
            (operator, [left, right], None) => compared(operator, left, right, false, context),
            (name, [argument], Some(target)) => {
                said_of_text(name, target, argument, false, context)
            }
            _ => None,
        }
    }

    /// A condition that holds and should not.
    fn negated(&self, expr: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
        let finding = match &expr.expr {
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice(), &call.target)
            {
                ("!_", [inner], None) => return Some(self.unmet(inner, context)),
                (operator, [left, right], None) => compared(operator, left, right, true, context),
                (name, [argument], Some(target)) => {
                    said_of_text(name, target, argument, true, context)
                }
                _ => None,
            },
            Expr::Select(select) if select.test => {
                let path = format!("{}.{}", render(&select.operand), select.field);
                Some(format!("`{path}` is there"))
            }
            Expr::Comprehension(comprehension) => {
                let (place, _) = first(comprehension, "exists", true, context)?;
                let Loop { item, holds, .. } = Loop::of(comprehension)?;
                let holds = render(holds);
                Some(format!("`{holds}` holds where `{item}` is {place}"))
            }
            _ => None,
        };
        finding.or_else(|| Some(format!("`{}` is true, expected false", render(expr))))
    }

    fn unmet_loop(
        &self,
        comprehension: &ComprehensionExpr,
        context: &Context<'_, '_>,
    ) -> Option<String> {
        let Loop { verb, item, holds } = Loop::of(comprehension)?;
        if verb == "all" {
            let (place, value) = first(comprehension, "all", false, context)?;
            let mut inner = context.new_inner_scope();
            inner.add_variable_from_value(item, value);
            let finding = self.unmet(holds, &inner);
            return Some(format!("{finding}, where `{item}` is {place}"));
        }
        let range = Value::resolve(&comprehension.iter_range, context).ok()?;
        let (n_items, list) = (items(&range).len(), render(&comprehension.iter_range));
        match (verb, n_items) {
            ("exists", 0) => Some(format!("`{list}` is empty")),
            ("exists", _) => Some(format!(
                "`{}` holds for none of the {n_items} in `{list}`",
                render(holds)
            )),
            ("exists_one", _) => Some(format!(
                "`{}` does not hold for one in `{list}` alone",
                render(holds)
            )),
            _ => None,
        }
    }

    /// A condition that could not be worked out.
    pub(super) fn failed(
        &self,
        expr: &IdedExpr,
        error: &ExecutionError,
        context: &Context<'_, '_>,
    ) -> String {
        if let Some(culprit) = culprit(expr, context) {
            if let Some(finding) = self.missing(culprit, context) {
                return finding;
            }
            if let Expr::Call(call) = &culprit.expr
                && let Some(finding) = mismatch(call, context)
            {
                return finding;
            }
            if let Expr::Comprehension(comprehension) = &culprit.expr
                && let Some(finding) = self.failed_loop(comprehension, context)
            {
                return finding;
            }
        }
        format!("it cannot be worked out: {}", line(&error.to_string(), 200))
    }

    /// A path that leads nowhere, and what may have been meant.
    fn missing(&self, expr: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
        let operand = match &expr.expr {
            Expr::Select(select) => &*select.operand,
            Expr::Call(call) if call.func_name == "_[_]" => call.args.first()?,
            _ => return None,
        };
        let whole = render(expr);
        let holder = Value::resolve(operand, context).ok()?;
        if let (Value::Null, Some((root, keys))) = (&holder, path(operand))
            && keys.is_empty()
        {
            let why = match root {
                "body" => "the body is not JSON",
                "certificate" => "the target showed no certificate",
                "document" => "the answer is no health document",
                _ => "it is null",
            };
            return Some(format!("`{whole}` is not there: {why}"));
        }
        let near = path(expr)
            .and_then(|(root, keys)| self.near(root, &keys, &holder))
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Some(format!("`{whole}` is not there{near}"))
    }

    /// The key that is there and nearest to the last of `keys`.
    fn near(&self, root: &str, keys: &[&str], holder: &Value) -> Option<String> {
        /// More keys are not looked through.
        const MAX_KEYS: usize = 100;
        let (last, above) = keys.split_last()?;
        let known: Vec<String> = if root == "body" {
            // What was made of the body holds only what was asked for.
            let body = self.scope.body?;
            let holder = above.iter().try_fold(body, |value, key| value.get(key))?;
            holder
                .as_object()?
                .keys()
                .take(MAX_KEYS)
                .map(|key| line(key, 60))
                .collect()
        } else {
            let Value::Map(map) = holder else { return None };
            map.map
                .keys()
                .take(MAX_KEYS)
                .map(ToString::to_string)
                .collect()
        };
        nearest(last, known.iter().map(String::as_str)).map(str::to_owned)
    }

    /// The first item for which it cannot be worked out.
    fn failed_loop(
        &self,
        comprehension: &ComprehensionExpr,
        context: &Context<'_, '_>,
    ) -> Option<String> {
        let Loop { item, holds, .. } = Loop::of(comprehension)?;
        let range = Value::resolve(&comprehension.iter_range, context).ok()?;
        if !matches!(range, Value::List(_) | Value::Map(_)) {
            let list = render(&comprehension.iter_range);
            return Some(format!("`{list}` is {}, not a list", shown(&range)));
        }
        for (n, value) in items(&range).into_iter().enumerate() {
            let mut inner = context.new_inner_scope();
            inner.add_variable_from_value(item, value.clone());
            if let Err(error) = Value::resolve(holds, &inner) {
                let finding = self.failed(holds, &error, &inner);
                let place = place(comprehension, n, &range, &value);
                return Some(format!("{finding}, where `{item}` is {place}"));
            }
        }
        None
    }
}

/// `left operator right`, which is false; `negated`, it is true and should not.
fn compared(
    operator: &str,
    left: &IdedExpr,
    right: &IdedExpr,
    negated: bool,
    context: &Context<'_, '_>,
) -> Option<String> {
    let wanted = match (operator, negated) {
        ("_==_", false) | ("_!=_", true) => "",
        ("_!=_", false) | ("_==_", true) => "anything but ",
        ("_<_", false) | ("_>=_", true) => "less than ",
        ("_<=_", false) | ("_>_", true) => "at most ",
        ("_>_", false) | ("_<=_", true) => "more than ",
        ("_>=_", false) | ("_<_", true) => "at least ",
        ("@in", false) => "one of ",
        ("@in", true) => "none of ",
        _ => return None,
    };
    let found = Value::resolve(left, context).ok()?;
    let limit = Value::resolve(right, context).ok()?;
    let limit = if operator == "@in" {
        let items = items(&limit);
        let more = if items.len() > MAX_LISTED {
            ", …"
        } else {
            ""
        };
        let listed: Vec<_> = items.iter().take(MAX_LISTED).map(shown).collect();
        format!("{}{more}", listed.join(", "))
    } else {
        shown(&limit)
    };
    Some(format!(
        "`{}` is {}, expected {wanted}{limit}",
        render(left),
        shown(&found)
    ))
}

/// `target.startsWith(argument)` and the like.
fn said_of_text(
    name: &str,
    target: &IdedExpr,
    argument: &IdedExpr,
    negated: bool,
    context: &Context<'_, '_>,
) -> Option<String> {
    let verb = match (name, negated) {
        ("contains", false) => "does not contain",
        ("contains", true) => "contains",
        ("startsWith", false) => "does not start with",
        ("startsWith", true) => "starts with",
        ("endsWith", false) => "does not end with",
        ("endsWith", true) => "ends with",
        ("matches", false) => "does not match",
        ("matches", true) => "matches",
        _ => return None,
    };
    let found = Value::resolve(target, context).ok()?;
    let argument = Value::resolve(argument, context).ok()?;
    let (target, found, argument) = (render(target), shown(&found), shown(&argument));
    Some(format!("`{target}` is {found}, which {verb} {argument}"))
}

/// The first item for which what is asked gives `truth`, and where it is.
fn first(
    comprehension: &ComprehensionExpr,
    verb: &str,
    truth: bool,
    context: &Context<'_, '_>,
) -> Option<(String, Value)> {
    let asked = Loop::of(comprehension).filter(|asked| asked.verb == verb)?;
    let range = Value::resolve(&comprehension.iter_range, context).ok()?;
    let found = items(&range).into_iter().enumerate().find(|(_, value)| {
        let mut inner = context.new_inner_scope();
        inner.add_variable_from_value(asked.item, value.clone());
        matches!(Value::resolve(asked.holds, &inner), Ok(Value::Bool(found)) if found == truth)
    });
    let (n, value) = found?;
    Some((place(comprehension, n, &range, &value), value))
}

fn place(comprehension: &ComprehensionExpr, n: usize, range: &Value, value: &Value) -> String {
    match range {
        Value::List(_) => format!("`{}[{n}]`", render(&comprehension.iter_range)),
        _ => shown(value),
    }
}

/// The items of a list, or the keys of an object in their order.
fn items(range: &Value) -> Vec<Value> {
    match range {
        Value::List(items) => items.to_vec(),
        Value::Map(map) => {
            let mut keys: Vec<_> = map.map.keys().cloned().collect();
            keys.sort();
            keys.into_iter().map(Value::from).collect()
        }
        _ => Vec::new(),
    }
}

/// The innermost part that cannot be worked out though its own parts can.
fn culprit<'a>(expr: &'a IdedExpr, context: &Context<'_, '_>) -> Option<&'a IdedExpr> {
    Value::resolve(expr, context).err()?;
    if matches!(expr.expr, Expr::Comprehension(_)) {
        let Expr::Comprehension(comprehension) = &expr.expr else {
            return None;
        };
        return culprit(&comprehension.iter_range, context).or(Some(expr));
    }
    let mut found = None;
    parts(expr, &mut |part| {
        if found.is_none() {
            found = culprit(part, context);
        }
    });
    found.or(Some(expr))
}

/// Values that an operator or a function does not take.
fn mismatch(call: &CallExpr, context: &Context<'_, '_>) -> Option<String> {
    let said = |expr: &IdedExpr| {
        let value = Value::resolve(expr, context).ok()?;
        Some(match value {
            Value::Null | Value::List(_) | Value::Map(_) => shown(&value),
            _ => format!("{} ({})", shown(&value), kind(&value)),
        })
    };
    let name = call.func_name.as_str();
    match (name, call.args.as_slice(), &call.target) {
        ("_<_" | "_<=_" | "_>_" | "_>=_", [left, right], None) => Some(format!(
            "`{}` is {}, which cannot be compared with {}",
            render(left),
            said(left)?,
            said(right)?
        )),
        ("@in", [_, list], None) => {
            Some(format!("`{}` is {}, not a list", render(list), said(list)?))
        }
        ("_&&_" | "_||_" | "!_", arguments, None) => arguments.iter().find_map(|argument| {
            let value = Value::resolve(argument, context).ok()?;
            let wrong = !matches!(value, Value::Bool(_));
            wrong.then(|| {
                format!(
                    "`{}` is {}, not true or false",
                    render(argument),
                    shown(&value)
                )
            })
        }),
        (_, arguments, target) if name.starts_with(char::is_alphabetic) => {
            let argument = target.as_deref().or(arguments.first())?;
            let argument_said = said(argument)?;
            Some(format!(
                "`{}` is {argument_said}, which `{name}` does not take",
                render(argument)
            ))
        }
        _ => None,
    }
}
