//! WGSL of a variant: declarations from the call, then the kernel's template.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior, Value};

use crate::call::{Call, Constant, WIDTH};

macro_rules! templates {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("kernels/", $name, ".wgsl")))),*]
    };
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let templates = templates!(
        "activate" "attention" "attention_join" "attention_scores" "attention_split" "causal_convolution" "columns"
        "convolution" "copy" "copy_block" "correct" "elementwise" "expert_layout" "expert_sum" "expert_weights" "finish"
        "halve" "join" "keep" "look_up" "neighbours" "norm" "pool" "product_cooperative" "product_few" "product_join"
        "product_many" "reduce" "rotary" "scale_rows" "select" "selective_scan" "sum_exp" "tile" "top" "weight"
        "weight_chunk"
    );
    for (name, source) in templates {
        environment.add_template(name, source).unwrap_or_else(|error| panic!("{name}.wgsl: {error:#}"));
    }
    environment
});

/// The source of a call's variant.
///
/// # Panics
/// Where a template is wrong; the tests compile each.
pub(crate) fn source(call: &Call<'_>, immediates: bool) -> String {
    let mut source = String::new();
    for extension in call.extensions {
        let _ = writeln!(source, "enable {extension};");
    }
    source.push_str("struct Parameters {\n");
    for parameter in call.parameters() {
        let _ = writeln!(source, "    {}: {},", parameter.name, parameter.kind);
    }
    let place = if immediates { "var<immediate>" } else { "@group(1) @binding(0) var<uniform>" };
    let _ = writeln!(source, "}}\n{place} parameters: Parameters;\n");
    for (number, binding) in call.bindings().iter().enumerate() {
        let access = if binding.written { "read_write" } else { "read" };
        let (name, element) = (binding.name, binding.element);
        let _ = writeln!(source, "@group(0) @binding({number}) var<storage, {access}> {name}: array<{element}>;");
    }
    let _ = writeln!(
        source,
        "\nconst WIDTH = {WIDTH}u;\n\n// The number of a workgroup.\nfn group_number(id: vec3<u32>) -> u32 {{\n    return id.x + id.y * WIDTH;\n}}\n"
    );
    let constants = call.variant.constants.iter().map(|(name, constant)| {
        let value = match constant {
            Constant::Number(number) => Value::from(*number),
            Constant::Flag(flag) => Value::from(*flag),
            Constant::Text(text) => Value::from(*text),
        };
        (*name, value)
    });
    let context = Value::from(constants.collect::<BTreeMap<_, _>>());
    let kernel = call.variant.kernel;
    let template = TEMPLATES.get_template(kernel).unwrap_or_else(|error| panic!("{kernel}.wgsl: {error:#}"));
    source + &template.render(context).unwrap_or_else(|error| panic!("{}: {error:#}", call.variant))
}
