#include "registry/names.h"

#include <stdint.h>
#include <stdio.h>

/* Friendly ones of up to nine letters, plain enough to be read over a telephone. */
/* clang-format off */
static const char *const adjectives[] = {
    "able", "agile", "airy", "alert", "amber", "ample", "apt", "aqua", "arctic", "azure", "balmy",
    "bold", "bouncy", "brave", "breezy", "bright", "brisk", "bronze", "bubbly", "calm", "candid",
    "careful", "casual", "cheery", "chief", "chilly", "chirpy", "civil", "classy", "clean", "clear",
    "clever", "coastal", "comfy", "cool", "copper", "cosmic", "cosy", "crimson", "crisp", "curious",
    "curly", "dainty", "dapper", "daring", "dawning", "deep", "deft", "dewy", "digital", "distant",
    "dreamy", "dusty", "eager", "early", "earnest", "easy", "elder", "emerald", "even", "fabled",
    "fair", "famous", "fancy", "fast", "fearless", "festive", "fine", "firm", "fleet", "flowing",
    "fluent", "fluffy", "fond", "frank", "free", "fresh", "frosty", "gentle", "giant", "giddy",
    "gifted", "glad", "gleaming", "glossy", "golden", "good", "graceful", "grand", "grateful",
    "green", "handy", "happy", "hardy", "hearty", "helpful", "hidden", "high", "honest", "humble",
    "icy", "ideal", "indigo", "ivory", "jade", "jaunty", "jolly", "jovial", "joyful", "keen",
    "kind", "lasting", "leafy", "level", "light", "lime", "little", "lively", "loyal", "lucid",
    "lucky", "lunar", "magic", "marble", "mellow", "merry", "mighty", "mild", "misty", "modern",
    "modest", "mossy", "neat", "nimble", "noble", "northern", "novel", "opal", "open", "orange",
    "orderly", "patient", "peaceful", "pearly", "placid", "playful", "pleasant", "plucky", "plush",
    "polar", "polite", "pretty", "prime", "proud", "quaint", "quick", "quiet", "rapid", "rare",
    "ready", "regal", "robust", "rosy", "round", "royal", "ruby", "rural", "rustic", "scarlet",
    "serene", "sharp", "shiny", "shy", "silent", "silky", "silver", "simple", "sleek", "smart",
    "smooth", "snowy", "snug", "soft", "solar", "solid", "sound", "southern", "spry", "stable",
    "stately", "steady", "stellar", "still", "sunny", "super", "sure", "swift", "tall", "teal",
    "tender", "tidy", "tiny", "tranquil", "trim", "true", "trusty", "upbeat", "urban", "velvet",
    "vivid", "warm", "wavy", "wild", "wise", "witty", "young", "zesty",
};

static const char *const nouns[] = {
    "acorn", "alder", "anchor", "apple", "arbor", "arrow", "aspen", "atlas", "aurora", "badger",
    "bamboo", "barn", "basin", "bay", "beach", "beacon", "bear", "beaver", "bee", "beech", "bell",
    "berry", "birch", "bird", "bison", "blossom", "boat", "book", "boulder", "bramble", "breeze",
    "bridge", "brook", "bush", "butterfly", "cabin", "cactus", "camel", "canary", "candle", "canoe",
    "canyon", "cape", "castle", "cedar", "cello", "cherry", "cliff", "cloud", "clover", "coast",
    "cobble", "comet", "compass", "coral", "cottage", "cove", "crane", "creek", "cricket", "crow",
    "crystal", "daisy", "dale", "dawn", "deer", "delta", "dolphin", "dove", "dragon", "drum",
    "duck", "dune", "eagle", "echo", "elk", "elm", "ember", "falcon", "feather", "fern", "ferry",
    "field", "finch", "fjord", "flame", "flute", "forest", "fountain", "fox", "frog", "galaxy",
    "garden", "geyser", "glacier", "glade", "globe", "goose", "grove", "gull", "hamlet", "harbor",
    "harp", "hawk", "hazel", "heath", "hedge", "heron", "hill", "hive", "hollow", "horizon",
    "horse", "island", "ivy", "jasmine", "kayak", "kettle", "kite", "koala", "lagoon", "lake",
    "lamp", "lantern", "lark", "laurel", "leaf", "lemon", "lilac", "lily", "linden", "lion",
    "lodge", "lotus", "lynx", "mango", "maple", "marsh", "meadow", "melon", "mesa", "meteor",
    "mill", "mint", "moon", "moose", "moss", "moth", "mountain", "nectar", "nest", "nutmeg", "oak",
    "oasis", "ocean", "olive", "orbit", "orchard", "orchid", "otter", "owl", "palm", "panda",
    "paper", "parrot", "peach", "peak", "pear", "pebble", "pelican", "pepper", "petal", "phoenix",
    "piano", "pine", "plain", "planet", "plateau", "plum", "pond", "poplar", "poppy", "prairie",
    "quail", "quartz", "rabbit", "rain", "raven", "reef", "ridge", "river", "robin", "rocket",
    "rose", "sail", "salmon", "sea", "seal", "shell", "shore", "sky", "snow", "sparrow", "spring",
    "spruce", "squirrel", "star", "stone", "stream", "summit", "sun", "swallow", "swan", "thicket",
    "thistle", "tiger", "trail", "trout", "tulip", "turtle", "valley", "violet", "wagon", "walnut",
    "water", "wave", "whale", "willow", "wind", "winter", "wolf", "wood", "wren", "yak", "zebra",
};
/* clang-format on */

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

int names_make(names_random *random, char ret_name[NAMES_SIZE])
{
    uint32_t dice[3]; /* so wide that no word is noticeably likelier than another */
    if (random(dice, sizeof dice) < 0)
        return -1;
    snprintf(ret_name, NAMES_SIZE, "%s-%s-%04u", adjectives[dice[0] % COUNT(adjectives)],
             nouns[dice[1] % COUNT(nouns)], (unsigned)(dice[2] % 10000));
    return 0;
}
