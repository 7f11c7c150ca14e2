//! What of a variable an expectation looks at: only that is made for it, so
//! that `body.status` costs the same in a large body as in a small one.

use std::collections::BTreeMap;

use cel::{
    IdedExpr,
    common::ast::{Expr, LiteralValue},
};

use super::vet::{parts, walk};

/// The part of a value that is looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// All of it.
    pub(super) all: bool,
    /// Else what is within.
    pub(super) within: BTreeMap<String, Self>,
}

impl Wanted {
    /// What `expr` looks at of `variable`.
    pub(super) fn of(expr: &IdedExpr, variable: &str) -> Self {
        let mut wanted = Self::default();
        wanted.visit(expr, variable);
        wanted
    }

    fn visit(&mut self, expr: &IdedExpr, variable: &str) {
        if let Some((root, keys)) = path(expr) {
            if root == variable {
                // `has()` asks whether it is there, and no more.
                let test = matches!(&expr.expr, Expr::Select(select) if select.test);
                let mut inner = self;
                for key in keys {
                    inner = inner.within.entry(key.to_owned()).or_default();
                }
                inner.all |= !test;
            }
            return;
        }
        parts(expr, &mut |part| self.visit(part, variable));
    }
}

/// `body.db["lag"]` as the variable and the keys; nothing for other expressions.
pub(super) fn path(expr: &IdedExpr) -> Option<(&str, Vec<&str>)> {
    match &expr.expr {
        Expr::Ident(name) => Some((name, Vec::new())),
        Expr::Select(select) => {
            let (root, mut keys) = path(&select.operand)?;
            keys.push(&select.field);
            Some((root, keys))
        }
        Expr::Call(call) if call.func_name == "_[_]" => {
            let (operand, key) = (call.args.first()?, call.args.get(1)?);
            let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                return None;
            };
            let (root, mut keys) = path(operand)?;
            keys.push(key.inner());
            Some((root, keys))
        }
        Expr::Call(_)
        | Expr::Comprehension(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Struct(_)
        | Expr::Unspecified => None,
    }
}

/// Whether `expr` goes through a list of its items.
pub(super) fn loops(expr: &IdedExpr) -> bool {
    let mut found = false;
    walk(expr, &mut |part| {
        found |= matches!(part.expr, Expr::Comprehension(_));
    });
    found
}

#[cfg(test)]
mod tests {
    use cel::Program;

    use super::*;

    fn check(cel: &str, expected: &str) {
        fn shown(wanted: &Wanted) -> String {
            let within = wanted
                .within
                .iter()
                .map(|(key, inner)| format!("{key}{}", shown(inner)));
            let within = within.collect::<Vec<_>>().join(" ");
            let all = if wanted.all { "*" } else { "" };
            format!("{all}({within})")
        }
        let program = Program::compile(cel).unwrap();
        assert_eq!(
            shown(&Wanted::of(program.expression(), "body")),
            expected,
            "{cel}"
        );
    }

    #[test]
    fn only_what_is_looked_at_is_wanted() {
        check("status == 200", "()");
        check("body.status == \"UP\"", "(status*())");
        check("body.db.lag < 5 && body.db.up", "(db(lag*() up*()))");
        check("has(body.db.lag)", "(db(lag()))");
        check("body[\"a\"].b == 1", "(a(b*()))");
        check("body.items[0].b == 1", "(items*())");
        check("size(body) == 1", "*()");
        check(
            "body.items.all(i, i.ok && i.v == body.v)",
            "(items*() v*())",
        );
        check("[body.a, {\"k\": body.b}] != []", "(a*() b*())");
    }
}
