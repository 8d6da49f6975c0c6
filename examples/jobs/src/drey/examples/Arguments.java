package drey.examples;

import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.core.fs.Path;

/** The arguments of a job: {@code --name value} pairs, each name known. */
final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] words, String... names) {
        for (int i = 0; i < words.length; i += 2) {
            String name = words[i].startsWith("--") ? words[i].substring(2) : "";
            if (!java.util.Arrays.asList(names).contains(name)) {
                throw new IllegalArgumentException(
                        "argument `" + words[i] + "` is not known; known are --" + String.join(", --", names));
            }
            if (i + 1 == words.length) {
                throw new IllegalArgumentException("argument `" + words[i] + "` has no value");
            }
            values.put(name, words[i + 1]);
        }
    }

    long number(String name, long otherwise) {
        String text = values.get(name);
        try {
            return text == null ? otherwise : Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("argument `--" + name + "` is a whole number, not `" + text + "`");
        }
    }

    /** A path or URI; a relative path counts from the JobManager's working directory. */
    Optional<Path> path(String name) {
        return Optional.ofNullable(values.get(name)).map(text -> text.contains(":")
                ? new Path(text)
                : new Path(Paths.get(text).toAbsolutePath().normalize().toUri()));
    }

    Path requiredPath(String name) {
        return path(name).orElseThrow(() -> new IllegalArgumentException("argument `--" + name + "` is missing"));
    }
}
