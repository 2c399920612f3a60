//! The manifests and the Dockerfile have the properties that the sniffer needs. Nothing is built or
//! run: that takes a cluster.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sniffer_live::LiveConfig;
use sniffer_live::config::{ConfigField, Values};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the pod of a manifest and the sniffer's container in it.
fn sniffer(manifest: &str, kind: &str) -> (Value, Value) {
    let text = std::fs::read_to_string(top().join("deploy").join(manifest)).unwrap();
    let manifest: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!((&manifest["apiVersion"], &manifest["kind"]), (&"apps/v1".into(), &kind.into()));
    let template = &manifest["spec"]["template"];
    assert_eq!(manifest["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]);
    let containers = template["spec"]["containers"].as_array().unwrap();
    let container = containers.iter().find(|container| container["name"] == "sniffer").unwrap();
    (template["spec"].clone(), container.clone())
}

fn both() -> [(Value, Value); 2] {
    [sniffer("sidecar.yaml", "Deployment"), sniffer("daemonset.yaml", "DaemonSet")]
}

/// Returns the variables with a plain value.
fn variables(container: &Value) -> BTreeMap<String, String> {
    let variables = container["env"].as_array().unwrap().iter();
    variables.filter_map(|v| Some((v["name"].as_str()?.to_owned(), v["value"].as_str()?.to_owned()))).collect()
}

#[test]
fn the_environment_is_a_configuration_that_is_accepted_in_production() {
    for (_, container) in both() {
        let variables = variables(&container);
        assert_eq!(variables["NODE_ENV"], "production");
        let environment = |name: &str| variables.get(name).cloned();
        LiveConfig::new(&Values::from_environment(&environment), &environment).unwrap();
        // A variable that is not read is a typo.
        let read = ["NODE_ENV"].into_iter().chain(ConfigField::ALL.iter().map(|field| field.variable()));
        let read: Vec<_> = read.collect();
        assert!(variables.keys().all(|name| read.contains(&name.as_str())), "{variables:?}");
    }
}

#[test]
fn placement_comes_from_the_downward_api_and_the_token_from_a_secret() {
    for (_, container) in both() {
        let from = |name: &str| {
            let variables = container["env"].as_array().unwrap();
            variables.iter().find(|variable| variable["name"] == name).unwrap()["valueFrom"].clone()
        };
        assert_eq!(from("POD_NAME")["fieldRef"]["fieldPath"], "metadata.name");
        assert_eq!(from("NAMESPACE")["fieldRef"]["fieldPath"], "metadata.namespace");
        assert_eq!(from("NODE_NAME")["fieldRef"]["fieldPath"], "spec.nodeName");
        assert!(from("OUTPUT_URL_AUTH_TOKEN")["secretKeyRef"]["name"].is_string());
    }
}

#[test]
fn it_runs_without_root_and_with_one_effective_capability() {
    for (_, container) in both() {
        let context = &container["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["runAsUser"], 65532);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"], serde_json::json!({"drop": ["ALL"], "add": ["NET_RAW"]}));
        assert_eq!(context["allowPrivilegeEscalation"], true, "else the capability on the file is ignored");
        assert!(context.get("privileged").is_none());
    }
}

#[test]
fn the_grace_period_covers_the_drain_budget_and_memory_is_limited() {
    for (pod, container) in both() {
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let drain: u64 = variables(&container)["DRAIN_TIMEOUT_MS"].parse().unwrap();
        assert!(grace * 1000 > drain);
        let mebibytes = |of: &str| -> u64 {
            container["resources"][of]["memory"].as_str().unwrap().strip_suffix("Mi").unwrap().parse().unwrap()
        };
        let buffer =
            variables(&container).get("BUFFER_SIZE_BYTES").map_or(32, |bytes| bytes.parse::<u64>().unwrap() >> 20);
        // docs/live.md, "How much it needs", with one output.
        assert!(mebibytes("limits") >= 256 + buffer, "{container}");
        assert!(mebibytes("requests") < mebibytes("limits"));
    }
}

#[test]
fn the_daemonset_is_on_the_network_of_the_node() {
    let (pod, _) = sniffer("daemonset.yaml", "DaemonSet");
    assert_eq!((&pod["hostNetwork"], &pod["dnsPolicy"]), (&true.into(), &"ClusterFirstWithHostNet".into()));
}

#[test]
fn the_image_is_built_in_two_stages_and_runs_as_the_user_of_the_manifests() {
    let text = std::fs::read_to_string(top().join("Dockerfile")).unwrap();
    let instructions: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(instructions.iter().filter(|line| line.starts_with("FROM ")).count(), 2);
    let toolchain = std::fs::read_to_string(top().join("Cargo.toml")).unwrap();
    assert!(text.contains("FROM rust:1.95-") && toolchain.contains("rust-version = \"1.95\""));
    let at = |start: &str| instructions.iter().rposition(|line| line.contains(start)).unwrap();
    assert!(at("COPY --from=build") < at("setcap cap_net_raw+ep /usr/local/bin/sniffer"));
    assert!(at("setcap cap_net_raw+ep") < at("USER 65532:65532"));
    assert_eq!(*instructions.last().unwrap(), "ENTRYPOINT [\"/usr/local/bin/sniffer\", \"live\"]");
    for (_, container) in both() {
        assert!(container.get("command").is_none() && container.get("args").is_none(), "the environment is enough");
    }
}
