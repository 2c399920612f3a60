//! Every field with valid values, invalid values, and the errors for them.

use serde_json::json;

use super::*;

fn nothing(_: &str) -> Option<String> {
    None
}

fn values(value: &Value) -> Values {
    let mut values = Values::default();
    for (name, value) in value.as_object().unwrap() {
        values.set_value(name, value.clone());
    }
    values
}

/// Checks a configuration of these values and port 80.
fn config(value: Value) -> Result<LiveConfig, ConfigError> {
    let mut all = json!({"ports": [80]});
    all.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    LiveConfig::new(&values(&all), &nothing)
}

fn from(environment: &[(&str, &str)]) -> Result<LiveConfig, ConfigError> {
    let environment =
        |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    LiveConfig::new(&Values::from_environment(&environment), &environment)
}

#[test]
fn ports_alone_are_enough_and_the_rest_has_defaults() {
    let config = config(json!({})).unwrap();
    assert_eq!((config.ports, config.interface.as_str()), (vec![80], "any"));
    assert_eq!((config.output_url, config.output_stdout, config.sample_rate), (None, false, 1.0));
    assert_eq!((config.max_body_size, config.max_connections), (1_048_576, 10_000));
    assert_eq!((config.idle_timeout, config.drain_timeout), (Duration::from_secs(300), Duration::from_secs(10)));
    assert_eq!(config.redact_headers, ["authorization", "cookie", "proxy-authorization", "set-cookie"]);
    assert_eq!((config.promiscuous, config.buffer_size, config.snaplen), (false, 33_554_432, 262_144));
    assert!(config.token.is_none() && config.warnings.is_empty());
}

#[test]
fn every_wrong_value_is_named_with_its_field_and_the_rule() {
    let wrong = [
        ("ports", json!([0]), "ports[0] is 0; a port is an integer from 1 to 65535"),
        ("ports", json!([80, 65536]), "ports[1] is 65536; a port is an integer from 1 to 65535"),
        ("ports", json!([80.5]), "ports[0] is 80.5; a port is"),
        ("ports", json!(["80"]), "ports[0] is \"80\"; a port is"),
        ("ports", json!([-1]), "ports[0] is -1; a port is"),
        ("ports", json!([]), "ports is empty; it must be a list of one or more ports"),
        ("ports", json!(80), "ports is 80; it must be a list"),
        ("ports", json!(null), "ports is null; it must be a list"),
        ("interface", json!(""), "interface is \"\"; it must be the name of an interface"),
        ("interface", json!(1), "interface is 1; it must be"),
        ("outputUrl", json!("example.com/x"), "outputUrl is \"example.com/x\"; it must be an http or https URL"),
        ("outputUrl", json!("ftp://example.com"), "outputUrl is \"ftp://example.com\"; it must be"),
        ("outputUrl", json!("http://"), "outputUrl is \"http://\"; it must be"),
        ("outputUrl", json!(7), "outputUrl is 7; it must be"),
        ("outputStdout", json!("true"), "outputStdout is \"true\"; it must be true or false"),
        ("outputStdout", json!(1), "outputStdout is 1; it must be"),
        ("sampleRate", json!(1.1), "sampleRate is 1.1; it must be a number from 0 to 1"),
        ("sampleRate", json!(-0.1), "sampleRate is -0.1; it must be"),
        ("sampleRate", json!("half"), "sampleRate is \"half\"; it must be"),
        ("maxBodySize", json!(-1), "maxBodySize is -1; it must be an integer, 0 or more"),
        ("maxBodySize", json!(1.5), "maxBodySize is 1.5; it must be"),
        ("maxConcurrentConnections", json!(0), "maxConcurrentConnections is 0; it must be an integer, 1 or more"),
        ("connectionIdleTimeoutMs", json!(0), "connectionIdleTimeoutMs is 0; it must be an integer, 1 or more"),
        ("redactHeaders", json!("cookie"), "redactHeaders is \"cookie\"; it must be a list of header names"),
        ("redactHeaders", json!(["a b"]), "redactHeaders[0] is \"a b\"; it must be the name of a header"),
        ("promiscuous", json!("yes"), "promiscuous is \"yes\"; it must be true or false"),
        ("bufferSizeBytes", json!(0), "bufferSizeBytes is 0; it must be an integer from 1 to 2147483647"),
        ("snaplen", json!(2_147_483_648_u64), "snaplen is 2147483648; it must be an integer from 1"),
        ("drainTimeoutMs", json!(false), "drainTimeoutMs is false; it must be an integer, 1 or more"),
    ];
    for (field, value, message) in wrong {
        let error = config(json!({field: value})).unwrap_err();
        assert_eq!(error.field, field);
        assert!(error.message.starts_with(message), "{} for {message}", error.message);
    }
    let named: std::collections::BTreeSet<_> = ConfigField::ALL.iter().map(|field| field.name()).collect();
    assert_eq!(named.len(), 13, "a field that is added gets its lines above");
}

#[test]
fn an_integer_may_come_as_a_whole_double() {
    assert_eq!(config(json!({"ports": [8080.0], "snaplen": 96.0})).unwrap().snaplen, 96);
}

#[test]
fn missing_ports_are_asked_for() {
    let error = LiveConfig::new(&Values::default(), &nothing).unwrap_err();
    assert_eq!(error.field, "ports");
    assert!(error.message.starts_with("ports is missing; it must be a list of one or more ports"), "{error}");
}

#[test]
fn an_unknown_field_names_the_nearest_known_one() {
    for (unknown, nearest) in [
        ("port", "ports"),
        ("prots", "ports"),
        ("outputURL", "outputUrl"),
        ("onHttpMesage", "onHttpMessage"),
        ("maxConnections", "maxConcurrentConnections"),
        ("drainTimeout", "drainTimeoutMs"),
    ] {
        let error = config(json!({unknown: 1})).unwrap_err();
        assert_eq!(error.message, format!("{unknown} is not a field; did you mean {nearest}?"));
        assert_eq!(error.field, unknown);
    }
}

#[test]
fn duplicate_ports_are_one_port_and_a_warning() {
    let config = config(json!({"ports": [80, 8080, 80]})).unwrap();
    assert_eq!(config.ports, [80, 8080]);
    assert_eq!(config.warnings, ["ports names 80 twice; once is enough"]);
}

#[test]
fn the_environment_has_every_field() {
    let config = from(&[
        ("PORTS", "80, 8080"),
        ("INTERFACE", "eth0"),
        ("OUTPUT_URL", "https://collector.example/in"),
        ("OUTPUT_STDOUT", "true"),
        ("SAMPLE_RATE", "0.5"),
        ("MAX_BODY_SIZE", "0"),
        ("MAX_CONCURRENT_CONNECTIONS", "5"),
        ("CONNECTION_IDLE_TIMEOUT_MS", "1000"),
        ("REDACT_HEADERS", "X-Key, Cookie"),
        ("PROMISCUOUS", "1"),
        ("BUFFER_SIZE_BYTES", "16777216"),
        ("SNAPLEN", "1500"),
        ("DRAIN_TIMEOUT_MS", "250"),
        ("POD_NAME", "api-1"),
    ])
    .unwrap();
    assert_eq!((config.ports, config.interface.as_str()), (vec![80, 8080], "eth0"));
    assert_eq!(config.output_url.unwrap().as_str(), "https://collector.example/in");
    assert!(config.output_stdout && config.promiscuous);
    assert_eq!((config.sample_rate, config.max_body_size, config.max_connections), (0.5, 0, 5));
    assert_eq!(config.redact_headers, ["x-key", "cookie"]);
    assert_eq!((config.buffer_size, config.snaplen), (16_777_216, 1500));
    assert_eq!((config.idle_timeout, config.drain_timeout), (Duration::from_secs(1), Duration::from_millis(250)));
    assert_eq!(config.placement.pod.as_deref(), Some("api-1"));
}

#[test]
fn a_wrong_variable_is_named_beside_its_field() {
    let error = from(&[("PORTS", "80,http")]).unwrap_err();
    assert_eq!(error.message, "ports[1] (PORTS) is \"http\"; a port is an integer from 1 to 65535");
    let error = from(&[("PORTS", "80"), ("OUTPUT_STDOUT", "ja")]).unwrap_err();
    assert_eq!(error.message, "outputStdout (OUTPUT_STDOUT) is \"ja\"; it must be true or false");
}

#[test]
fn an_empty_variable_is_the_default_but_an_empty_list_of_headers_is_none() {
    let config = from(&[("PORTS", "80"), ("OUTPUT_URL", ""), ("SAMPLE_RATE", " "), ("REDACT_HEADERS", "")]).unwrap();
    assert_eq!((config.output_url, config.sample_rate), (None, 1.0));
    assert!(config.redact_headers.is_empty());
}

#[test]
fn in_production_a_webhook_is_https() {
    let error = from(&[("PORTS", "80"), ("NODE_ENV", "production"), ("OUTPUT_URL", "http://127.0.0.1/")]).unwrap_err();
    assert_eq!(error.field, "outputUrl");
    assert!(error.message.ends_with("it must be an https URL where NODE_ENV is production"), "{error}");
    from(&[("PORTS", "80"), ("NODE_ENV", "production"), ("OUTPUT_URL", "https://127.0.0.1/")]).unwrap();
}

#[test]
fn the_token_is_never_shown() {
    let environment = [("PORTS", "80"), ("OUTPUT_URL", "http://10.0.0.1/"), ("OUTPUT_URL_AUTH_TOKEN", "s3cret\n")];
    let config = from(&environment).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    assert_eq!(config.token.unwrap().authorization(), "Bearer s3cret");
    let error = from(&[("PORTS", "80"), ("OUTPUT_URL_AUTH_TOKEN", "s3c\tret")]).unwrap_err();
    assert_eq!(error.field, "OUTPUT_URL_AUTH_TOKEN");
    assert!(!error.message.contains("s3c"), "{error}");
    let error = config_with_url("http://me:s3cret@example.com/").unwrap_err();
    assert!(error.message.contains("OUTPUT_URL_AUTH_TOKEN") && !error.message.contains("s3cret"), "{error}");
}

fn config_with_url(url: &str) -> Result<LiveConfig, ConfigError> {
    config(json!({"outputUrl": url}))
}

#[test]
fn a_token_over_plain_http_is_warned_of_unless_it_stays_here() {
    for (url, warned) in [
        ("http://10.0.0.1/", true),
        ("http://collector/", true),
        ("http://127.0.0.1:9/", false),
        ("http://[::1]:9/", false),
        ("http://localhost/", false),
        ("https://collector/", false),
    ] {
        let config = from(&[("PORTS", "80"), ("OUTPUT_URL", url), ("OUTPUT_URL_AUTH_TOKEN", "t")]).unwrap();
        assert_eq!(!config.warnings.is_empty(), warned, "{url}");
    }
}

#[test]
fn a_value_that_json_cannot_express_is_wrong_everywhere_and_named() {
    let foreign = json!({"foreign": "NaN"});
    for field in ConfigField::ALL {
        let error = config(json!({field.name(): foreign})).unwrap_err();
        assert_eq!(error.field, field.name());
        assert!(error.message.starts_with(&format!("{} is NaN; it must be ", field.name())), "{error}");
    }
    let error = config(json!({"ports": [80, foreign]})).unwrap_err();
    assert_eq!(error.message, "ports[1] is NaN; a port is an integer from 1 to 65535");
}
