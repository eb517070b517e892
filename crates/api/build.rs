//! Compiles `proto/` without protoc, and turns the rule that every method carries into a table.
//!
//! The build fails for a method without a rule, or with one that contradicts itself: a call cannot be added unprotected by
//! forgetting.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};

const RULE: &str = "mandate.method.v1.rule";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    println!("cargo:rerun-if-changed=../../proto");

    let mut files = Vec::new();
    find_protos(&root.join("mandate"), &mut files)?;
    files.sort();
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(false).include_imports(true).open_files(&files)?;

    std::fs::write(out.join("mandate.bin"), compiler.encode_file_descriptor_set())?;
    std::fs::write(out.join("rules.rs"), rules(&compiler)?)?;

    let mut documented = protox::Compiler::new([root])?;
    documented.include_source_info(true).include_imports(true).open_files(&files)?;
    tonic_prost_build::configure().include_file("mandate.rs").compile_fds(documented.file_descriptor_set())?;
    Ok(())
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

/// The source of `RULES`, ordered by path.
fn rules(compiler: &protox::Compiler) -> Result<String, Box<dyn Error>> {
    let mut entries = Vec::new();
    for service in compiler.descriptor_pool().services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let entry = rule(&path, &method).map_err(|complaint| format!("{path}: {complaint}"))?;
            entries.push((path, entry));
        }
    }
    entries.sort();
    let mut source =
        String::from("/// The rule of every method, ordered by path.\npub static RULES: &[MethodRule] = &[\n");
    for (_, entry) in entries {
        source.push_str(&entry);
    }
    source.push_str("];\n");
    Ok(source)
}

fn rule(path: &str, method: &MethodDescriptor) -> Result<String, Box<dyn Error>> {
    let extension = method
        .parent_pool()
        .get_extension_by_name(RULE)
        .ok_or("the extension mandate.method.v1.rule is not defined")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return Err("declare who may call it: option (mandate.method.v1.rule)".into());
    }
    let value = options.get_extension(&extension);
    let rule = value.as_message().ok_or("the rule is not a message")?;

    let callers = enum_names(rule, "callers");
    let workloads = strings(rule, "workloads");
    let permission = string(rule, "permission");
    let anonymous = matches!(field(rule, "anonymous"), Value::Bool(true));
    let refusal = enum_names(rule, "refusal").join("");
    let effect = enum_names(rule, "effect").join("");

    expect(
        anonymous == (callers.is_empty() && workloads.is_empty()),
        "a method is anonymous exactly when neither callers nor workloads are named",
    )?;
    expect(callers.is_empty() == permission.is_empty(), "callers and permission go together")?;
    expect(effect != "EFFECT_UNSPECIFIED", "declare its effect: EFFECT_READ or EFFECT_CHANGE")?;

    let kinds: Vec<String> = callers
        .iter()
        .map(|caller| format!("PrincipalKind::{}", camel(caller.trim_start_matches("PRINCIPAL_KIND_"))))
        .collect();
    let refusal = match refusal.trim_start_matches("ERROR_REASON_") {
        "UNSPECIFIED" => "RoleRequired".to_owned(),
        reason => camel(reason),
    };
    let mut source = String::new();
    writeln!(source, "    MethodRule {{")?;
    writeln!(source, "        path: {path:?},")?;
    writeln!(source, "        callers: &[{}],", kinds.join(", "))?;
    writeln!(source, "        permission: {permission:?},")?;
    writeln!(source, "        workloads: &{workloads:?},")?;
    writeln!(source, "        anonymous: {anonymous},")?;
    writeln!(source, "        refusal: ErrorReason::{refusal},")?;
    writeln!(source, "        refusal_rule: {:?},", string(rule, "refusal_rule"))?;
    writeln!(source, "        changes: {},", effect == "EFFECT_CHANGE")?;
    writeln!(source, "        streams: {},", method.is_server_streaming() || method.is_client_streaming())?;
    writeln!(source, "    }},")?;
    Ok(source)
}

fn expect(holds: bool, complaint: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(complaint.into()) }
}

fn field(message: &DynamicMessage, name: &str) -> Value {
    message.get_field_by_name(name).expect("the rule message has this field").into_owned()
}

fn string(message: &DynamicMessage, name: &str) -> String {
    field(message, name).as_str().unwrap_or_default().to_owned()
}

fn strings(message: &DynamicMessage, name: &str) -> Vec<String> {
    let value = field(message, name);
    let items = value.as_list().unwrap_or_default();
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The value names of an enum field, repeated or not.
fn enum_names(message: &DynamicMessage, name: &str) -> Vec<String> {
    let descriptor = message.descriptor().get_field_by_name(name).expect("the rule message has this field");
    let kind = descriptor.kind();
    let kind = kind.as_enum().expect("the field is an enum");
    let value = field(message, name);
    let numbers: Vec<i32> = match value.as_list() {
        Some(items) => items.iter().filter_map(Value::as_enum_number).collect(),
        None => value.as_enum_number().into_iter().collect(),
    };
    let names = numbers.into_iter().filter_map(|number| kind.get_value(number));
    names.map(|value| value.name().to_owned()).collect()
}

fn camel(screaming: &str) -> String {
    let words = screaming.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_string()).unwrap_or_default();
        first + &letters.as_str().to_lowercase()
    });
    words.collect()
}
