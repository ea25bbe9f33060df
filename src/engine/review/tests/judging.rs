//! Every line of the validity list, violated: alone, and with every other.

use serde_json::{Value as Json, json};

use super::super::*;
use super::violations::{VIOLATIONS, keys};
use super::world::{KeySpec, Signing, World, add, alter, hex, human, set, without};
use crate::engine::code::Code;
use crate::engine::policy::GrantTerms;

#[test]
fn a_sound_review_passes_and_says_so_rule_by_rule() {
    let judgement = World::sound().judgement();
    assert!(judgement.reason().is_none());
    assert!(judgement.checks().iter().all(|check| check.finding.holds()));
    // Six rules for each of two signers, and no attestations.
    assert_eq!(judgement.checks().len(), Rule::ALL.len() - 6 + 12 - 1);
    let rules: Vec<Rule> = judgement.checks().iter().map(|check| check.rule).collect();
    let mut once: Vec<Rule> = rules.clone();
    once.dedup();
    assert!(rules.starts_with(&[
        Rule::Structure,
        Rule::Scope,
        Rule::Inputs,
        Rule::Address,
        Rule::Principals
    ]));
    assert!(rules.ends_with(&[
        Rule::ReviewerSigned,
        Rule::SignerCount,
        Rule::Manifest,
        Rule::Anchor,
        Rule::Consumption,
        Rule::Verdict,
        Rule::Conditions
    ]));

    let judged = judgement.into_judged().unwrap();
    assert_eq!(judged.terms(), GrantTerms::Bounded { sequence_span: 10 });
    let record = serde_json::to_value(judged.record()).unwrap();
    let members: Vec<&str> = record
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        [
            "conditions",
            "cross_signers",
            "introduced_by",
            "manifest_envelope_id",
            "message_sha256",
            "recorded_at",
            "review_id",
            "review_type",
            "reviewer",
            "verdict"
        ]
    );
    assert_eq!(
        record.get("introduced_by").unwrap(),
        &json!("07".repeat(20))
    );
}

#[test]
fn each_line_violated_alone_gives_its_reason() {
    for (name, _, _, code, violate) in VIOLATIONS {
        let mut world = World::sound();
        violate(&mut world);
        assert_eq!(world.code(), *code, "{name}");
        assert!(world.judgement().reason().is_some(), "{name}");
    }
}

#[test]
fn of_two_lines_violated_the_earlier_gives_the_reason() {
    for (first, spoils, rank, code, violate) in VIOLATIONS {
        for (second, spoils_too, later_rank, _, violate_too) in VIOLATIONS {
            if rank >= later_rank || spoils == spoils_too {
                continue;
            }
            let mut world = World::sound();
            violate(&mut world);
            violate_too(&mut world);
            assert_eq!(world.code(), *code, "{first}, and {second}");
            let mut world = World::sound();
            violate_too(&mut world);
            violate(&mut world);
            assert_eq!(world.code(), *code, "{second}, and {first}");
        }
    }
}

#[test]
fn a_listed_signer_who_has_not_signed_is_missing_not_false() {
    let mut world = World::sound();
    world
        .signing
        .retain(|signing| signing.principal == "human:ana");
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
    // Even where enough others have signed.
    let mut world = World::sound();
    world.add_signer("human:cy", KeySpec::Software(3));
    world
        .signing
        .retain(|signing| signing.principal != "human:cy");
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
    let mut world = World::sound();
    world
        .signing
        .retain(|signing| signing.principal == "human:bo");
    assert_eq!(world.code(), Code::ReviewReviewerUnsigned);
    // Nobody has signed yet: it waits for people.
    let mut world = World::sound();
    world.signing.clear();
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
}

#[test]
fn one_human_is_not_two() {
    let mut world = World::sound();
    set(&mut world.artifact, "cross_signers", json!(["human:ana"]));
    world
        .signing
        .retain(|signing| signing.principal == "human:ana");
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
    // A policy that asks for fewer than two is not obeyed.
    world.terms.min_cross_signers = 0;
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
    // One human with two keys is one human.
    for table in [&mut world.before, &mut world.governed] {
        let two = keys(&[KeySpec::Software(1), KeySpec::Software(11)]);
        alter(table, "human:ana", "keys", &two);
    }
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
    world
        .signing
        .push(Signing::new("human:ana", KeySpec::Software(11)));
    assert_eq!(world.code(), Code::InvalidReview);
    set(
        &mut world.artifact,
        "cross_signers",
        json!(["human:ana", "human:ana"]),
    );
    assert_eq!(world.code(), Code::InvalidReview);
}

#[test]
fn one_key_is_not_two_humans() {
    for twin in [KeySpec::Software(1), KeySpec::Hardware(1)] {
        let mut world = World::sound();
        for table in [&mut world.before, &mut world.governed] {
            without(table, "human:bo");
            add(table, human("human:bo", twin));
        }
        world.signing_of("human:bo").key = twin;
        assert_eq!(world.code(), Code::InvalidPrincipals);
    }
    // Not by moving a key from one human to another between the tables either.
    let mut world = World::sound();
    world.signing_of("human:bo").key = KeySpec::Software(1);
    without(&mut world.governed, "human:ana");
    alter(
        &mut world.governed,
        "human:bo",
        "keys",
        &keys(&[KeySpec::Software(1)]),
    );
    assert_eq!(world.code(), Code::PrincipalUnknown);
}

#[test]
fn an_organization_reviews_and_signs_but_is_no_human() {
    let mut world = World::sound();
    set(
        &mut world.artifact,
        "reviewer",
        json!({"principal": "org:acme", "role": "company_admin"}),
    );
    assert_eq!(world.code(), Code::ReviewReviewerUnsigned);
    world.add_signer("org:acme", KeySpec::Software(4));
    assert_eq!(world.code(), Code::Ok);
    // With one human it is not enough.
    set(
        &mut world.artifact,
        "cross_signers",
        json!(["human:ana", "org:acme"]),
    );
    world
        .signing
        .retain(|signing| signing.principal != "human:bo");
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
    // As a second signer beside a human reviewer neither.
    set(
        &mut world.artifact,
        "reviewer",
        json!({"principal": "human:ana", "role": "council"}),
    );
    assert_eq!(world.code(), Code::ReviewSignersInsufficient);
}

#[test]
fn hardware_keys_count_only_when_touched() {
    let hardware = |flags: u8| {
        let mut world = World::sound();
        world.terms.require_user_presence = true;
        for (id, spec) in [
            ("human:ana", KeySpec::Hardware(21)),
            ("human:bo", KeySpec::HardwareP256(22)),
        ] {
            for table in [&mut world.before, &mut world.governed] {
                alter(table, id, "keys", &keys(&[spec]));
            }
            world.signing_of(id).key = spec;
        }
        world.signing_of("human:bo").flags = flags;
        world
    };
    assert_eq!(hardware(1).code(), Code::Ok);
    assert_eq!(hardware(0).code(), Code::ReviewPresenceMissing);
    // An untouched token never counts, whatever the policy asks.
    let mut world = hardware(0);
    world.terms.require_user_presence = false;
    assert_eq!(world.code(), Code::ReviewPresenceMissing);
}

#[test]
fn conditions_narrow_and_never_widen() {
    let terms = |grant: GrantTerms, conditions: Json| {
        let mut world = World::sound();
        world.grant = grant;
        set(
            &mut world.artifact,
            "verdict",
            json!("approve_with_conditions"),
        );
        set(&mut world.artifact, "conditions", conditions);
        world
            .judgement()
            .into_judged()
            .map(|judged| judged.terms())
            .map_err(|refusal| refusal.code)
    };
    let bounded = GrantTerms::Bounded { sequence_span: 10 };
    for (conditions, expected) in [
        (
            json!([{"type": "sequence_span", "max": 3}]),
            GrantTerms::Bounded { sequence_span: 3 },
        ),
        (json!([{"type": "sequence_span", "max": 30}]), bounded),
        (
            json!([{"type": "one_shot"}]),
            GrantTerms::OneShot { sequence_span: 10 },
        ),
        (
            json!([{"type": "one_shot"}, {"type": "sequence_span", "max": 0}]),
            GrantTerms::OneShot { sequence_span: 0 },
        ),
        (
            json!([{"type": "sequence_span", "max": 5}, {"type": "sequence_span", "max": 4}]),
            GrantTerms::Bounded { sequence_span: 4 },
        ),
        (
            json!([{"type": "target_prefix", "prefix": "service/"}]),
            bounded,
        ),
        (json!([{"type": "reusable", "max": 2}]), bounded),
    ] {
        assert_eq!(
            terms(bounded, conditions.clone()),
            Ok(expected),
            "{conditions}"
        );
    }
    for conditions in [
        json!([{"type": "sequence_span", "max": 3}]),
        json!([{"type": "one_shot"}]),
    ] {
        assert_eq!(
            terms(GrantTerms::Commit, conditions),
            Err(Code::ReviewConditionViolated)
        );
    }
    assert_eq!(
        terms(GrantTerms::Commit, json!([{"type": "reusable", "max": 2}])),
        Ok(GrantTerms::Commit)
    );
    for conditions in [
        json!([]),
        json!([{"type": "wider", "max": 3}]),
        json!([{"type": "sequence_span"}]),
        json!([{"type": "sequence_span", "max": -1}]),
        json!([{"type": "sequence_span", "max": 3, "min": 1}]),
        json!([{"type": "one_shot", "max": 3}]),
        json!([{"type": "target_prefix", "prefix": ""}]),
        json!([{"type": "reusable", "max": 0}]),
        json!([{"max": 3}]),
        json!([null]),
    ] {
        assert_eq!(
            terms(bounded, conditions.clone()),
            Err(Code::InvalidReview),
            "{conditions}"
        );
    }
}

#[test]
fn a_reusable_review_yields_as_many_permits_as_it_says() {
    let mut world = World::sound();
    set(
        &mut world.artifact,
        "verdict",
        json!("approve_with_conditions"),
    );
    set(
        &mut world.artifact,
        "conditions",
        json!([{"type": "reusable", "max": 3}, {"type": "reusable", "max": 2}]),
    );
    for (issued, code) in [
        (0, Code::Ok),
        (1, Code::Ok),
        (2, Code::ReviewConsumed),
        (u64::MAX, Code::ReviewConsumed),
    ] {
        world.issued = issued;
        assert_eq!(world.code(), code);
    }
}

#[test]
fn an_altered_artifact_does_not_carry_its_signatures_along() {
    let alterations: &[fn(&mut Json)] = &[
        |artifact| set(artifact, "reason", json!("something else")),
        |artifact| set(artifact.get_mut("anchor").unwrap(), "sequence", json!(40)),
        |artifact| set(artifact, "manifest_envelope_id", json!(hex(1))),
        |artifact| {
            set(artifact, "verdict", json!("approve_with_conditions"));
            set(
                artifact,
                "conditions",
                json!([{"type": "reusable", "max": 99}]),
            );
        },
    ];
    for alteration in alterations {
        let mut world = World::sound();
        world.afterwards.push(*alteration);
        assert_eq!(world.code(), Code::ReviewSignatureInvalid);
    }
    // White space and the order of members and signatures are free.
    let mut world = World::sound();
    world.afterwards.push(|artifact| {
        artifact
            .get_mut("signatures")
            .unwrap()
            .as_array_mut()
            .unwrap()
            .reverse();
    });
    assert_eq!(world.code(), Code::Ok);
}

#[test]
fn without_the_request_nothing_is_granted_and_the_rest_is_still_judged() {
    let mut world = World::sound();
    world.request_known = false;
    let judgement = world.judgement();
    assert!(
        judgement
            .checks()
            .iter()
            .all(|check| check.finding.refusal().is_none())
    );
    assert_eq!(judgement.reason().unwrap().code, Code::ReviewMissing);
    assert!(world.judgement().into_judged().is_err());
    assert!(world.judgement().into_record().is_ok());
    world.signing.clear();
    assert_eq!(
        world.judgement().into_record().unwrap_err().code,
        Code::ReviewSignersInsufficient
    );
}

#[test]
fn a_rejection_and_a_used_review_are_recorded_and_a_false_one_is_not() {
    for (name, _, _, code, violate) in VIOLATIONS {
        let mut world = World::sound();
        violate(&mut world);
        let later = [
            Code::ReviewConsumed,
            Code::ReviewRejected,
            Code::ReviewDeferred,
            Code::ReviewConditionViolated,
        ];
        let recorded = world.judgement().into_record();
        if later.contains(code) {
            assert!(recorded.is_ok(), "{name}");
        } else {
            assert_eq!(recorded.unwrap_err().code, *code, "{name}");
        }
    }
}

#[test]
fn the_judging_table_is_the_parents_and_only_at_first_adoption_the_own_one() {
    let own = Principals::parse(super::world::table().to_string().as_bytes()).unwrap();
    let broken = Principals::parse(b"{}").unwrap_err();
    let sound = Table::Sound(&own);
    assert!(matches!(
        Table::judging(Table::Missing, false, sound),
        Table::Sound(_)
    ));
    assert!(matches!(
        Table::judging(Table::Missing, true, sound),
        Table::Missing
    ));
    assert!(matches!(
        Table::judging(Table::Missing, false, Table::Missing),
        Table::Missing
    ));
    assert!(matches!(
        Table::judging(Table::Invalid(&broken), false, sound),
        Table::Invalid(_)
    ));
    assert!(matches!(
        Table::judging(sound, true, Table::Missing),
        Table::Sound(_)
    ));
}

#[test]
fn attestations_do_not_pass_for_signatures() {
    let mut world = World::sound();
    world.afterwards.push(|artifact| {
        artifact.as_object_mut().unwrap().remove("signatures");
        set(artifact, "attestations", json!(["blob"]));
    });
    assert_eq!(world.code(), Code::InvalidReview);
    world
        .afterwards
        .push(|artifact| set(artifact, "signatures", json!([])));
    assert_eq!(world.code(), Code::InvalidReview);
}
