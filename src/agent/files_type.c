#include "agent/files_type.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define TEXT(type) "text/" type "; charset=utf-8"

static const struct {
    const char *ending, *type;
} types[] = {
    {"html", TEXT("html")},
    {"htm", TEXT("html")},
    {"xhtml", "application/xhtml+xml"},
    {"css", TEXT("css")},
    {"js", TEXT("javascript")},
    {"mjs", TEXT("javascript")},
    {"json", "application/json"},
    {"map", "application/json"},
    {"jsonld", "application/ld+json"},
    {"webmanifest", "application/manifest+json"},
    {"wasm", "application/wasm"},
    {"xml", TEXT("xml")},
    {"rss", "application/rss+xml"},
    {"atom", "application/atom+xml"},

    {"txt", TEXT("plain")},
    {"log", TEXT("plain")},
    {"ini", TEXT("plain")},
    {"conf", TEXT("plain")},
    {"toml", TEXT("plain")},
    {"yaml", TEXT("plain")},
    {"yml", TEXT("plain")},
    {"c", TEXT("plain")},
    {"h", TEXT("plain")},
    {"cpp", TEXT("plain")},
    {"rs", TEXT("plain")},
    {"go", TEXT("plain")},
    {"py", TEXT("plain")},
    {"sh", TEXT("plain")},
    {"diff", TEXT("plain")},
    {"patch", TEXT("plain")},
    {"sha256", TEXT("plain")},
    {"md", TEXT("markdown")},
    {"csv", TEXT("csv")},
    {"ics", TEXT("calendar")},
    {"vcf", TEXT("vcard")},
    {"vtt", TEXT("vtt")},

    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"heic", "image/heic"},
    {"svg", "image/svg+xml"},
    {"ico", "image/x-icon"},
    {"bmp", "image/bmp"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},

    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"oga", "audio/ogg"},
    {"opus", "audio/ogg"},
    {"flac", "audio/flac"},
    {"wav", "audio/wav"},
    {"m4a", "audio/mp4"},
    {"aac", "audio/aac"},
    {"mp4", "video/mp4"},
    {"m4v", "video/mp4"},
    {"webm", "video/webm"},
    {"ogv", "video/ogg"},
    {"mov", "video/quicktime"},
    {"mkv", "video/x-matroska"},
    {"avi", "video/x-msvideo"},

    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},

    {"pdf", "application/pdf"},
    {"epub", "application/epub+zip"},
    {"rtf", "application/rtf"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},

    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tgz", "application/gzip"},
    {"bz2", "application/x-bzip2"},
    {"xz", "application/x-xz"},
    {"zst", "application/zstd"},
    {"7z", "application/x-7z-compressed"},
    {"tar", "application/x-tar"},
};

const char *files_type(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash + 1 : name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(dot + 1, types[i].ending) == 0)
            return types[i].type;
    return "application/octet-stream";
}
