import org.apache.flink.client.deployment.ClusterClientFactory;
import org.apache.flink.client.deployment.ClusterDescriptor;
import org.apache.flink.client.deployment.ClusterRetrieveException;
import org.apache.flink.client.deployment.DefaultClusterClientServiceLoader;
import org.apache.flink.client.deployment.application.ApplicationConfiguration;
import org.apache.flink.client.deployment.application.cli.ApplicationClusterDeployer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.DeploymentOptions;
import org.apache.flink.configuration.GlobalConfiguration;

/** Deploys clusters with Flink's own client, one for each configuration directory in the arguments. */
public final class RecordCluster {
    public static void main(String[] directories) throws Exception {
        for (String directory : directories) {
            try {
                deploy(directory);
            } catch (RuntimeException error) {
                // Everything is made by then; a load balancer has no address where nobody gives it one.
                if (!(error.getCause() instanceof ClusterRetrieveException)) {
                    throw new IllegalStateException(directory, error);
                }
            }
        }
    }

    private static void deploy(String directory) throws Exception {
        Configuration configuration = GlobalConfiguration.loadConfiguration(directory);
        configuration.setString("$internal.deployment.config-dir", directory);
        DefaultClusterClientServiceLoader loader = new DefaultClusterClientServiceLoader();
        if (configuration.get(DeploymentOptions.TARGET).equals("kubernetes-application")) {
            new ApplicationClusterDeployer(loader)
                    .run(configuration, ApplicationConfiguration.fromConfiguration(configuration));
            return;
        }
        ClusterClientFactory<String> factory = loader.getClusterClientFactory(configuration);
        try (ClusterDescriptor<String> descriptor = factory.createClusterDescriptor(configuration)) {
            descriptor.deploySessionCluster(factory.getClusterSpecification(configuration));
        }
    }
}
