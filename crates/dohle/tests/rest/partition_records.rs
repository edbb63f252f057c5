//! Reading without an instance.

use super::{BINARY_FORMAT, JSON, Rest};
use serde_json::{Value, json};

#[test]
fn a_partition_is_read_from_an_offset_without_anything_that_lives_on() {
    let rest = Rest::start(&[]);
    let records: Vec<Value> = (0..250).map(|value| json!({ "value": value })).collect();
    rest.produce("/topics/t", JSON, &json!({ "records": records }).to_string());
    let get = |query: &str, accept: &str| {
        let path = format!("/topics/t/partitions/0/records{query}");
        rest.client().call("GET", &path, &[("Accept", accept)], "")
    };
    let values = |query: &str| -> Vec<i64> {
        let records = get(query, JSON).json();
        records
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["value"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(values("?offset=248&count=1"), [248]);
    assert_eq!(values("?offset=248"), [248, 249]);
    assert_eq!(values("?count=220"), (0..220).collect::<Vec<_>>());
    assert_eq!(values("?offset=250&timeout=200"), [0; 0]);
    assert_eq!(get("?offset=7&count=1", BINARY_FORMAT).json()[0]["value"], json!("Nw=="));
    assert_eq!(get("?offset=7&count=1", "*/*").json()[0]["value"], json!("Nw=="));
    get("?offset=1000", JSON).is_error(400, 40002, "out of range");
    get("?offset=-1", JSON).is_error(422, 422, "offset");
    get("?count=x", JSON).is_error(400, 400, "");
    rest.get("/topics/t/partitions/1/records")
        .is_error(404, 40402, "Partition not found.");
    rest.get("/topics/none/partitions/0/records").is_error(404, 40403, "");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get("?offset=250&timeout=60000", JSON));
        rest.produce("/topics/t", JSON, r#"{"records":[{"value":250}]}"#);
        waiting.join().unwrap()
    });
    assert_eq!(waiting.json()[0]["offset"], json!(250));
}
