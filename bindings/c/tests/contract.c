/* What a C program may rely on, above all with bad input. Run by programs.rs, also with sanitizers. */

#include <disband.h>
#include <disband.h> /* the header may be included twice */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(holds)                                                                     \
    do {                                                                                  \
        if (!(holds)) {                                                                   \
            fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #holds,   \
                    disband_last_error());                                                \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

#define OK(call) EXPECT((call) == DISBAND_STATUS_OK)

enum { JSON = DISBAND_FORMAT_JSON, POSTCARD = DISBAND_FORMAT_POSTCARD };

static const char CONFIG[] = "{\"quotas\":{\"create\":\"unlimited\",\"join\":\"unlimited\"}}";

static disband_engine new_engine(void) {
    disband_engine engine;
    OK(disband_engine_new(DISBAND_IDS_NUMBERS, JSON, disband_text(CONFIG), &engine));
    return engine;
}

static disband_outcome apply(disband_engine engine, const char *command) {
    disband_outcome outcome;
    OK(disband_engine_apply(engine, JSON, disband_text(command), 1000, &outcome));
    return outcome;
}

static uint32_t code_of(disband_engine engine, const char *command) {
    uint32_t code;
    disband_outcome outcome = apply(engine, command);
    OK(disband_outcome_code(outcome, &code));
    OK(disband_outcome_free(outcome));
    return code;
}

static disband_engine group_of(unsigned members) {
    disband_engine engine = new_engine();
    EXPECT(code_of(engine, "{\"create\":{\"owner\":\"1\",\"group\":\"7\"}}") == 200);
    for (unsigned user = 2; user <= members; user++) {
        char join[80];
        snprintf(join, sizeof join, "{\"join\":{\"user\":\"%u\",\"group\":\"7\"}}", user);
        EXPECT(code_of(engine, join) == 200);
    }
    return engine;
}

static void strings_are_there(void) {
    EXPECT(strcmp(disband_version(), VERSION) == 0);
    EXPECT(strcmp(disband_status_name(DISBAND_STATUS_BAD_HANDLE), "DISBAND_STATUS_BAD_HANDLE") == 0);
    EXPECT(strcmp(disband_status_name(77), "unknown status") == 0);
    EXPECT(disband_text("abc").len == 3 && disband_text(NULL).len == 0);
}

static void bad_slices_are_recognised(void) {
    disband_engine engine = new_engine();
    disband_outcome outcome = {99};
    disband_slice null = {NULL, 5}, huge = {"x", SIZE_MAX}, nothing = {NULL, 0};
    EXPECT(disband_engine_apply(engine, JSON, null, 1, &outcome) == DISBAND_STATUS_NULL_POINTER);
    EXPECT(outcome.id == 0);
    EXPECT(disband_engine_apply(engine, JSON, huge, 1, &outcome) == DISBAND_STATUS_BAD_ARGUMENT);
    EXPECT(disband_engine_apply(engine, JSON, nothing, 1, &outcome) == DISBAND_STATUS_BAD_FORMAT);
    EXPECT(disband_engine_apply(engine, JSON, disband_text("{}"), 1, NULL) ==
           DISBAND_STATUS_NULL_POINTER);
    OK(disband_engine_check(engine));
    OK(disband_engine_free(engine));
}

static void bad_handles_are_recognised(void) {
    disband_engine null = {0}, made_up = {UINT64_MAX}, engine = new_engine();
    disband_engine wrong;
    disband_bytes bytes = {NULL, 0, 0};
    disband_outcome outcome = apply(engine, "{\"leave_all\":{\"user\":\"1\"}}");
    wrong.id = outcome.id;
    EXPECT(disband_engine_check(null) == DISBAND_STATUS_BAD_HANDLE);
    EXPECT(disband_engine_check(made_up) == DISBAND_STATUS_BAD_HANDLE);
    EXPECT(disband_engine_free(wrong) == DISBAND_STATUS_BAD_HANDLE);
    OK(disband_outcome_free(outcome));
    EXPECT(disband_outcome_free(outcome) == DISBAND_STATUS_BAD_HANDLE);
    OK(disband_engine_free(engine));
    EXPECT(disband_engine_save(engine, JSON, &bytes) == DISBAND_STATUS_BAD_HANDLE);
    EXPECT(bytes.data == NULL && bytes.len == 0);
    EXPECT(strstr(disband_last_error(), "was freed") != NULL);
    OK(disband_bytes_free(&bytes));
    EXPECT(disband_bytes_free(NULL) == DISBAND_STATUS_NULL_POINTER);
}

static void bytes_end_with_a_zero(void) {
    disband_engine engine = group_of(2);
    disband_bytes bytes;
    const char *query = "{\"owned_by\":{\"user\":\"1\"}}";
    OK(disband_engine_read(engine, JSON, disband_text(query), &bytes));
    EXPECT(bytes.len == 5 && strcmp((const char *)bytes.data, "[\"7\"]") == 0);
    OK(disband_bytes_free(&bytes));
    EXPECT(bytes.data == NULL);
    OK(disband_bytes_free(&bytes));
    OK(disband_engine_free(engine));
}

static void no_array_is_written_past_its_end(void) {
    disband_engine engine = group_of(30);
    disband_outcome outcome =
        apply(engine, "{\"post\":{\"author\":\"30\",\"group\":\"7\",\"message\":\"a\"}}");
    disband_audience audience;
    OK(disband_outcome_audience(outcome, 0, &audience));
    for (size_t capacity = 0; capacity <= 40; capacity++) {
        /* Exactly as large as promised, so that a sanitizer finds a write past the end. */
        uint64_t *ids = malloc(capacity * sizeof *ids + (capacity == 0));
        uint64_t after;
        size_t count;
        EXPECT(ids != NULL);
        OK(disband_audience_numbers(audience, NULL, ids, capacity, &count));
        EXPECT(count == (capacity < 29 ? capacity : 29));
        EXPECT(count == 0 || (ids[0] == 1 && ids[count - 1] == count));
        if (capacity == 10) {
            /* `after` in the array itself */
            OK(disband_audience_numbers(audience, &ids[9], ids, capacity, &count));
            EXPECT(count == 10 && ids[0] == 11 && ids[9] == 20);
        }
        after = 29;
        OK(disband_audience_numbers(audience, &after, ids, capacity, &count));
        EXPECT(count == 0);
        free(ids);
    }
    OK(disband_audience_free(audience));
    OK(disband_outcome_free(outcome));
    OK(disband_engine_free(engine));
}

static void snapshots_are_loaded(void) {
    disband_engine engine = group_of(100), loaded;
    disband_bytes saved;
    bool equal = false;
    OK(disband_engine_save(engine, POSTCARD, &saved));
    disband_slice all = {saved.data, saved.len}, part = {saved.data, saved.len / 2};
    OK(disband_engine_load(DISBAND_IDS_NUMBERS, POSTCARD, all, &loaded));
    OK(disband_engine_equal(engine, loaded, &equal));
    EXPECT(equal);
    OK(disband_engine_free(loaded));
    EXPECT(disband_engine_load(DISBAND_IDS_NUMBERS, POSTCARD, part, &loaded) ==
           DISBAND_STATUS_BAD_FORMAT);
    EXPECT(loaded.id == 0);
    OK(disband_bytes_free(&saved));
    OK(disband_engine_free(engine));
}

static void *free_elsewhere(void *argument) {
    disband_outcome outcome = *(disband_outcome *)argument;
    OK(disband_outcome_free(outcome));
    EXPECT(strcmp(disband_last_error(), "") == 0);
    return NULL;
}

/* The outcome is freed on another thread while this one walks the dissolved group. */
static void a_dissolved_group_outlives_its_outcome(void) {
    disband_engine engine = group_of(200);
    disband_outcome outcome = apply(engine, "{\"leave\":{\"user\":\"1\",\"group\":\"7\"}}");
    disband_dissolved group;
    disband_summary summary;
    disband_bytes page;
    size_t count, bytes = 0;
    pthread_t thread;
    OK(disband_outcome_dissolved_count(outcome, &count));
    EXPECT(count == 1);
    OK(disband_outcome_dissolved(outcome, 0, &group));
    EXPECT(pthread_create(&thread, NULL, free_elsewhere, &outcome) == 0);
    for (unsigned after = 1; after < 200; after++) {
        char id[16];
        snprintf(id, sizeof id, "\"%u\"", after);
        OK(disband_dissolved_members(group, JSON, disband_text(id), 1, &page));
        bytes += page.len;
        OK(disband_bytes_free(&page));
    }
    EXPECT(bytes > 199 * 20);
    EXPECT(pthread_join(thread, NULL) == 0);
    OK(disband_dissolved_summary(group, &summary));
    EXPECT(summary.members == 200 && summary.entries == 0);
    OK(disband_dissolved_free(group));
    OK(disband_engine_free(engine));
}

int main(void) {
    strings_are_there();
    bad_slices_are_recognised();
    bad_handles_are_recognised();
    bytes_end_with_a_zero();
    no_array_is_written_past_its_end();
    snapshots_are_loaded();
    a_dissolved_group_outlives_its_outcome();
    puts("contract kept");
    return 0;
}
