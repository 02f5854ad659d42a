import { encode, split } from "./bytes.js";
import { id, option, string, struct, whole } from "./schema.js";
import { result, text, wasm } from "./wasm.js";

const LIMITS =
  "members_per_group groups_per_user message_bytes entries_per_group bans_per_group mutes_per_group note_bytes message_bytes_total memberships_total".split(" ");

const NOTHING = struct({});
const SANCTION = struct({ by: id, until: option(whole) });

const ABSENCES = [
  ["stint_over", NOTHING],
  ["left", struct({ at: whole })],
  ["kicked", struct({ by: id, at: whole })],
  ["no_record", NOTHING],
];

const ABSENCE = {
  read(reader) {
    const [absence, data] = ABSENCES[reader.byte()];
    return { absence, ...data.read(reader) };
  },
};

/** The reasons and their data, in the order of the Rust type. */
const REASONS = [
  ["too_fast", struct({ retryAt: whole })],
  ["no_such_group", NOTHING],
  ["dissolved", struct({ by: id, at: whole, note: option(string), successor: option(id) })],
  ["not_member", ABSENCE],
  ["not_owner", NOTHING],
  ["outranked", NOTHING],
  ["target_not_member", ABSENCE],
  ["group_exists", NOTHING],
  ["id_reserved", struct({ until: whole })],
  ["already_member", NOTHING],
  ["not_admin", NOTHING],
  ["banned", SANCTION],
  ["owner_must_stay", NOTHING],
  ["already_owner", NOTHING],
  ["already_ranked", NOTHING],
  ["not_banned", NOTHING],
  ["already_expired", NOTHING],
  ["over_limit", struct({ limit: { read: (reader) => LIMITS[reader.byte()] }, max: whole })],
  ["closed", NOTHING],
  ["target_banned", SANCTION],
  ["muted", SANCTION],
  ["not_muted", NOTHING],
  ["no_such_entry", NOTHING],
  ["not_author", NOTHING],
  ["already_erased", NOTHING],
];

/** Why a command was refused. */
export class Refusal extends Error {
  #text;
  #bytes;
  #now;

  constructor(reader, now) {
    const code = reader.integer();
    super(reader.string());
    this.name = "Refusal";
    this.code = code;
    const index = option(whole).read(reader);
    if (index !== null) this.index = index;
    const start = reader.at;
    const [reason, data] = REASONS[reader.byte()];
    this.reason = reason;
    Object.assign(this, data.read(reader));
    // The reply is written by the module, from the same bytes.
    this.#text = reader.text;
    this.#bytes = reader.since(start);
    this.#now = now;
  }

  reply() {
    const length = encode(this.#text, (writer) => writer.raw(this.#bytes));
    return text(result(wasm.refusal_reply(this.#text, length, ...split(this.#now))));
  }
}
