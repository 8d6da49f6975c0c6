package drey.examples;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Counts 0, 1, 2, … without end, at a steady rate, each number exactly once whatever happens.
 *
 * <p>The numbers are dealt out to a fixed number of lanes: lane {@code i} counts i, i + LANES, i + 2·LANES, …
 * A lane is a source split, its position is in the checkpoint, and lanes move between readers when the
 * parallelism changes. That is why the source can be rescaled up to {@link #LANES}.
 */
final class NumberSource implements Source<Long, NumberSource.Lane, List<NumberSource.Lane>> {
    static final int LANES = 8;

    private final double numbersPerSecond;

    NumberSource(double numbersPerSecond) {
        this.numbersPerSecond = numbersPerSecond;
    }

    /** One lane and the number that it gives next. */
    static final class Lane implements SourceSplit {
        final int index;
        long next;

        Lane(int index, long next) {
            this.index = index;
            this.next = next;
        }

        @Override
        public String splitId() {
            return Integer.toString(index);
        }
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SourceReader<Long, Lane> createReader(SourceReaderContext context) {
        return new Reader(numbersPerSecond / LANES);
    }

    @Override
    public SplitEnumerator<Lane, List<Lane>> createEnumerator(SplitEnumeratorContext<Lane> context) {
        List<Lane> all = new ArrayList<>();
        for (int i = 0; i < LANES; i++) {
            all.add(new Lane(i, i));
        }
        return new Enumerator(context, all);
    }

    @Override
    public SplitEnumerator<Lane, List<Lane>> restoreEnumerator(
            SplitEnumeratorContext<Lane> context, List<Lane> unassigned) {
        return new Enumerator(context, unassigned);
    }

    @Override
    public SimpleVersionedSerializer<Lane> getSplitSerializer() {
        return new LaneSerializer();
    }

    @Override
    public SimpleVersionedSerializer<List<Lane>> getEnumeratorCheckpointSerializer() {
        return new LanesSerializer();
    }

    /** Gives the numbers of its lanes in turn, no faster than they are due. */
    private static final class Reader implements SourceReader<Long, Lane> {
        private final double numbersPerSecondAndLane;
        private final List<Lane> lanes = new ArrayList<>();
        private long sinceNanos = System.nanoTime();
        private long given;

        Reader(double numbersPerSecondAndLane) {
            this.numbersPerSecondAndLane = numbersPerSecondAndLane;
        }

        @Override
        public void start() {}

        @Override
        public InputStatus pollNext(ReaderOutput<Long> output) {
            if (nanosUntilDue() > 0) {
                return InputStatus.NOTHING_AVAILABLE;
            }
            Lane lane = lanes.get((int) (given % lanes.size()));
            output.collect(lane.next);
            lane.next += LANES;
            given++;
            return nanosUntilDue() > 0 ? InputStatus.NOTHING_AVAILABLE : InputStatus.MORE_AVAILABLE;
        }

        private long nanosUntilDue() {
            if (lanes.isEmpty()) {
                return TimeUnit.MILLISECONDS.toNanos(100);
            }
            double dueAfterSeconds = given / (numbersPerSecondAndLane * lanes.size());
            return sinceNanos + (long) (dueAfterSeconds * 1e9) - System.nanoTime();
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            long waitNanos = nanosUntilDue();
            if (waitNanos <= 0) {
                return CompletableFuture.completedFuture(null);
            }
            return CompletableFuture.runAsync(
                    () -> {}, CompletableFuture.delayedExecutor(waitNanos, TimeUnit.NANOSECONDS));
        }

        @Override
        public void addSplits(List<Lane> splits) {
            lanes.addAll(splits);
            sinceNanos = System.nanoTime();
            given = 0;
        }

        @Override
        public List<Lane> snapshotState(long checkpointId) {
            List<Lane> copy = new ArrayList<>();
            for (Lane lane : lanes) {
                copy.add(new Lane(lane.index, lane.next));
            }
            return copy;
        }

        @Override
        public void notifyNoMoreSplits() {}

        @Override
        public void close() {}
    }

    /** Deals the lanes that nobody has to the readers, as they come. */
    private static final class Enumerator implements SplitEnumerator<Lane, List<Lane>> {
        private final SplitEnumeratorContext<Lane> context;
        private final List<Lane> unassigned;

        Enumerator(SplitEnumeratorContext<Lane> context, List<Lane> unassigned) {
            this.context = context;
            this.unassigned = new ArrayList<>(unassigned);
        }

        @Override
        public void start() {}

        @Override
        public void addReader(int subtask) {
            int readers = context.currentParallelism();
            List<Lane> hers = new ArrayList<>();
            for (Lane lane : unassigned) {
                if (lane.index % readers == subtask) {
                    hers.add(lane);
                }
            }
            unassigned.removeAll(hers);
            for (Lane lane : hers) {
                context.assignSplit(lane, subtask);
            }
        }

        @Override
        public void addSplitsBack(List<Lane> splits, int subtask) {
            unassigned.addAll(splits);
            if (context.registeredReaders().containsKey(subtask)) {
                addReader(subtask);
            }
        }

        @Override
        public void handleSplitRequest(int subtask, String host) {}

        @Override
        public List<Lane> snapshotState(long checkpointId) {
            return new ArrayList<>(unassigned);
        }

        @Override
        public void close() {}
    }

    private static final class LaneSerializer implements SimpleVersionedSerializer<Lane> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Lane lane) throws IOException {
            return write(List.of(lane));
        }

        @Override
        public Lane deserialize(int version, byte[] bytes) throws IOException {
            return read(bytes).get(0);
        }
    }

    private static final class LanesSerializer implements SimpleVersionedSerializer<List<Lane>> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(List<Lane> lanes) throws IOException {
            return write(lanes);
        }

        @Override
        public List<Lane> deserialize(int version, byte[] bytes) throws IOException {
            return read(bytes);
        }
    }

    private static byte[] write(Collection<Lane> lanes) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeInt(lanes.size());
        for (Lane lane : lanes) {
            out.writeInt(lane.index);
            out.writeLong(lane.next);
        }
        return bytes.toByteArray();
    }

    private static List<Lane> read(byte[] bytes) throws IOException {
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
        List<Lane> lanes = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            lanes.add(new Lane(in.readInt(), in.readLong()));
        }
        return lanes;
    }
}
