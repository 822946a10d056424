//! Types of the component model, spelled out to the last field, as far as there is room for that.
//!
//! A component's file can be small and its types vast: each of them made of the one before, twice.

use wasmparser::component_types::{ComponentDefinedType, ComponentFuncTypeId, ComponentValType};
use wasmparser::types::TypesRef;

/// Spells types, all of them together within a bound.
pub(super) struct Spelling<'a> {
    /// Where they are defined.
    pub(super) types: TypesRef<'a>,
    text: String,
    /// Bytes that may still be written. With none left, nothing is looked at any more.
    left: usize,
}

impl<'a> Spelling<'a> {
    /// Spells at most so many bytes.
    pub(super) fn new(types: TypesRef<'a>, most: usize) -> Self {
        Self { types, text: String::new(), left: most }
    }

    /// Something had to be left out.
    pub(super) fn exhausted(&self) -> bool {
        self.left == 0
    }

    /// A function's signature.
    pub(super) fn signature(&mut self, id: ComponentFuncTypeId) -> String {
        let types = self.types;
        let function = &types[id];
        self.say(if function.async_ { "async func" } else { "func" });
        self.all("(", ")", &function.params, |spelling, (name, ty)| spelling.named(name, ty));
        if let Some(result) = &function.result {
            self.say(" -> ");
            self.spell(result);
        }
        std::mem::take(&mut self.text)
    }

    /// A type, structurally, as the component model compares types.
    fn spell(&mut self, ty: &ComponentValType) {
        let id = match ty {
            ComponentValType::Primitive(primitive) => return self.say(&primitive.to_string()),
            ComponentValType::Type(id) => *id,
        };
        if self.exhausted() {
            return;
        }
        let types = self.types;
        match &types[id] {
            ComponentDefinedType::Primitive(primitive) => self.say(&primitive.to_string()),
            ComponentDefinedType::Record(record) => {
                self.all("record {", "}", &record.fields, |spelling, (name, ty)| spelling.named(name, ty));
            }
            ComponentDefinedType::Variant(variant) => {
                self.all("variant {", "}", &variant.cases, |spelling, (name, case)| {
                    spelling.say(name);
                    if let Some(ty) = &case.ty {
                        spelling.all("(", ")", [ty], Self::spell);
                    }
                });
            }
            ComponentDefinedType::Enum(names) => {
                self.all("enum {", "}", names, |spelling, name| spelling.say(name));
            }
            ComponentDefinedType::Flags(names) => {
                self.all("flags {", "}", names, |spelling, name| spelling.say(name));
            }
            ComponentDefinedType::Tuple(tuple) => self.all("tuple<", ">", &tuple.types, Self::spell),
            ComponentDefinedType::List { element, .. } => self.all("list<", ">", [element], Self::spell),
            ComponentDefinedType::Option { ty, .. } => self.all("option<", ">", [ty], Self::spell),
            ComponentDefinedType::Result { ok, err, .. } => {
                self.all("result<", ">", [ok, err], |spelling, ty| match ty {
                    Some(ty) => spelling.spell(ty),
                    None => spelling.say("_"),
                });
            }
            // Nothing else stands in the contract, so whatever it is, it does not fit.
            _ => self.say("a type that this contract does not use"),
        }
    }

    fn named(&mut self, name: &str, ty: &ComponentValType) {
        self.say(name);
        self.say(": ");
        self.spell(ty);
    }

    /// Several things between brackets, with commas.
    fn all<T>(
        &mut self,
        open: &str,
        close: &str,
        things: impl IntoIterator<Item = T>,
        each: impl Fn(&mut Self, T),
    ) {
        self.say(open);
        for (index, thing) in things.into_iter().enumerate() {
            if self.exhausted() {
                return;
            }
            if index > 0 {
                self.say(", ");
            }
            each(self, thing);
        }
        self.say(close);
    }

    fn say(&mut self, text: &str) {
        self.left = self.left.saturating_sub(text.len());
        if !self.exhausted() {
            self.text.push_str(text);
        }
    }
}
