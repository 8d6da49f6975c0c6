package drey.examples;

import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.BasePathBucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;

/** Lines of text in files of one directory, exactly once. */
final class Lines {
    private Lines() {}

    /**
     * Each checkpoint closes the files; they count once they have lost the dot that their names begin with,
     * when the checkpoint is complete. File names never repeat, so a directory may be used again.
     */
    static FileSink<String> in(Path directory) {
        return FileSink.forRowFormat(directory, new SimpleStringEncoder<String>("UTF-8"))
                .withBucketAssigner(new BasePathBucketAssigner<>())
                .withRollingPolicy(OnCheckpointRollingPolicy.build())
                .build();
    }
}
