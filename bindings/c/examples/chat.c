/* alice and bob chat. Then alice, who owns the group, leaves, so the group is dissolved. */

#include <disband.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program if a call failed. A command that is refused is not a failure. */
static void check(disband_status status) {
    if (status != DISBAND_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", disband_status_name(status), disband_last_error());
        exit(1);
    }
}

static void print_and_free(const char *name, disband_bytes *json) {
    printf("%s %s\n", name, (const char *)json->data);
    check(disband_bytes_free(json));
}

/* Carries out a command. Prints the reply, and each signal with its first 100 recipients. */
static void carry_out(disband_engine engine, const char *command, uint64_t now) {
    disband_outcome outcome;
    disband_audience audience;
    disband_bytes json;
    size_t signals;

    printf("> %s\n", command);
    check(disband_engine_apply(engine, DISBAND_FORMAT_JSON, disband_text(command), now, &outcome));
    check(disband_outcome_wire_reply(outcome, &json));
    print_and_free("reply", &json);
    check(disband_outcome_signal_count(outcome, &signals));
    for (size_t index = 0; index < signals; index++) {
        check(disband_outcome_wire_frame(outcome, index, false, &json));
        print_and_free("signal", &json);
        check(disband_outcome_audience(outcome, index, &audience));
        check(disband_audience_page(audience, DISBAND_FORMAT_JSON, disband_text(NULL), 100, &json));
        print_and_free("to", &json);
        check(disband_audience_free(audience));
    }
    check(disband_outcome_free(outcome));
}

int main(void) {
    disband_engine engine;
    disband_slice config = disband_text(NULL); /* the default */

    check(disband_engine_new(DISBAND_IDS_TEXT, DISBAND_FORMAT_JSON, config, &engine));
    carry_out(engine, "{\"create\":{\"owner\":\"alice\",\"group\":\"cats\"}}", 1000);
    carry_out(engine, "{\"join\":{\"user\":\"bob\",\"group\":\"cats\"}}", 2000);
    carry_out(engine, "{\"post\":{\"author\":\"bob\",\"group\":\"cats\",\"message\":\"hello\"}}", 3000);
    carry_out(engine, "{\"leave\":{\"user\":\"alice\",\"group\":\"cats\"}}", 4000);
    carry_out(engine, "{\"leave\":{\"user\":\"bob\",\"group\":\"cats\"}}", 5000);
    check(disband_engine_free(engine));
    return 0;
}
